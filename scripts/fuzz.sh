#!/bin/bash
# Feeds the readers of templates and topology files with texts that reach ever more of their code, for a bounded time.
#
#   make fuzz                 every target, FUZZ_SECONDS (60) each
#   scripts/fuzz.sh NAME...   these targets
#
# The first texts are the topology files of the tests. What was found worth keeping stays in fuzz/corpus, which is not
# part of the repository; a text that breaks a target is in fuzz/artifacts, and the run ends with its status.
# The coverage that guides it is made by the compiler at hand: neither a nightly one nor cargo-fuzz is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}/fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(template topology)

# One code unit a crate: the counters of a function must lie beside the table of its places.
export RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$out"

# The first texts: topology files, by the hash of their content so that none overwrites another.
seeds() {
    find labs crates/topology/tests/data \( -name '*.yml' -o -name '*.yaml' -o -name '*.gotmpl' \) -type f -size -32k
}

for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus" fuzz/artifacts/"$target"
    seeds | while read -r file; do cp "$file" "$corpus/$(sha1sum < "$file" | cut -c1-40)"; done
    echo "$target: ${FUZZ_SECONDS:-60} s"
    "$out/$host/release/$target" "$corpus" -dict=fuzz/topology.dict -artifact_prefix=fuzz/artifacts/"$target"/ \
        -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -max_len=32768 -verbosity=0 \
        -print_final_stats=1 2>&1 | sed '/# Recommended dictionary/,/# End of recommended/d'
done
