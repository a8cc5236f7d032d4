# Bash breaks words at colons, where NODE:INTERFACE is one word: the words are put together again as they stand in the
# line, up to the cursor, and of each answer only what bash is to replace is handed back.
_archetype_complete() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() word gap i current
    for ((i = 0; i <= COMP_CWORD; i++)); do
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$rest
        rest=${rest#"$word"}
        if [[ -z $gap && ${#words[@]} -gt 0 && ($word == :* || ${words[-1]} == *:) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    current=${words[-1]}
    local IFS=$'\013'
    COMPREPLY=($(
        _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) _CLAP_COMPLETE_COMP_TYPE="$COMP_TYPE" \
            _CLAP_COMPLETE_SPACE=false ARCHETYPE_COMPLETE=bash archetype -- "${words[@]}"
    )) || { unset COMPREPLY; return; }
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -o bashdefault -o nosort -F _archetype_complete archetype 2>/dev/null ||
    complete -o bashdefault -F _archetype_complete archetype
