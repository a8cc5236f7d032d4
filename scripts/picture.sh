#!/bin/bash
# Draws what a terminal showed: text on standard input, an SVG on standard output. docs/demo.svg is made so from what
# `make demo` printed.
set -euo pipefail

sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' | awk '
function shade(line) {
    if (line ~ /^== /) return "#7aa2f7"
    if (line ~ /^\$ /) return "#ffffff"
    if (line ~ /^(NODE|LINK|    ABOUT)/) return "#8a90a6"
    if (line ~ /^(ok| .* is up)/ || line ~ /  (up|running) /) return "#9ece6a"
    if (line ~ /  repair  /) return "#e0af68"
    return "#c0c6dc"
}
# In characters as they are seen: an escaped one is one.
function seen(line) { gsub(/&[a-z]+;/, "x", line); return length(line) }
{ text[NR] = $0; if (seen($0) > widest) widest = seen($0) }
END {
    width = widest * 7.25 + 40; height = NR * 17 + 40
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", width, height, width, height
    printf "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#1a1b26\"/>\n"
    print "<g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,\x27DejaVu Sans Mono\x27,monospace\" font-size=\"12\" xml:space=\"preserve\">"
    for (n = 1; n <= NR; n++)
        if (text[n] != "") printf "<text x=\"20\" y=\"%d\" fill=\"%s\" textLength=\"%d\" style=\"white-space:pre\">%s</text>\n",
                n * 17 + 18, shade(text[n]), seen(text[n]) * 7.25, text[n]
    print "</g>\n</svg>"
}'
