#!/bin/bash
# The images that the labs name: pulled where that works, else stand-ins built from Debian's packages
# (labs/images/README.md).
#
#   scripts/images.sh            see to it that the engine has every image: present, pulled, or a stand-in
#   scripts/images.sh --cache    only make the archive in the cache; works without an engine
#   scripts/images.sh --load     load the cached archive into the engine; never pulls, needs no network
#   scripts/images.sh --clean    remove the stand-ins from the engine, and the cache
#
# The engine is the one of DOCKER_HOST. ARCHETYPE_IMAGE_CACHE: folder of the archives (default .cache/images here).
# ARCHETYPE_PULL_TIMEOUT: seconds for one pull (default 180).
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
recipes=$repo/labs/images
cache=${ARCHETYPE_IMAGE_CACHE:-$repo/.cache/images}
# A fixed time in the images makes their ids depend on nothing but their content.
created=2025-01-01T00:00:00Z

say() { echo "images: $*" >&2; }
fail() { say "$*"; exit 1; }

# The lines of a recipe file without its comments.
lines() { sed -e '/^#/d' -e '/^ *$/d' "$1"; }
images() { lines "$recipes/stand-ins" | sed 's/ *|.*//'; }
stand_in_field() { lines "$recipes/stand-ins" | awk -F' *[|] *' -v image="$1" -v n="$2" '$1 == image { print $n }'; }

engine_answers() { command -v docker >/dev/null && timeout 20 docker version >/dev/null 2>&1; }
label_of() { docker image inspect -f "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null || true; }
is_present() { docker image inspect "$1" >/dev/null 2>&1; }
is_stand_in() { [ "$(label_of "$1" archetype.stand-in)" = true ]; }

# Changes when a recipe, this script, the Debian release or the architecture does.
recipe_key() {
    {
        (cd "$recipes" && find . -type f ! -name README.md -print0 | sort -z | xargs -0 sha256sum)
        sha256sum <"${BASH_SOURCE[0]}"
        . /etc/os-release && echo "$VERSION_CODENAME"
        dpkg --print-architecture
    } | sha256sum | cut -c1-16
}
archive() { echo "$cache/images-$(recipe_key).tar"; }

# ---- building ------------------------------------------------------------------------------------------------------

# apt-get as on an empty system, with folders of its own: it resolves and fetches, and leaves this machine alone.
apt_elsewhere() {
    apt-get -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/debs" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1 -o APT::Install-Recommends=false \
        -o APT::Sandbox::User=root -qq -y "$@" </dev/null
}

need_package_lists() {
    apt-cache show frr >/dev/null 2>&1 && return
    say "fetching Debian's package lists"
    apt-get update -qq
}

packages_of() { local layer; for layer in "$@"; do lines "$recipes/$layer.packages"; done; }

# The files of a layer's packages and of all that they depend on. Says nothing of files that are here already, so it
# is asked before anything is fetched.
package_files() {
    # shellcheck disable=SC2046 # a list of words is what is wanted
    apt_elsewhere install --print-uris $(packages_of "$@") | awk '{ print $2 }' | sort
}

fetch_packages() {
    # shellcheck disable=SC2046 # a list of words is what is wanted
    apt_elsewhere install --download-only $(packages_of "$@") >"$work/apt.log" 2>&1 || {
        tail -3 "$work/apt.log" >&2
        return 1
    }
}

# Lists that are older than the archive name files that are gone.
resolve_and_fetch() {
    package_files base >"$work/base.debs" && package_files base frr >"$work/all.debs" && fetch_packages base frr
}

make_root() {
    local folder
    mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},dev,proc,sys,run,srv,root,var/{log,lib,tmp},tmp,etc}
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    ln -s ../run "$root/var/run"
    chmod 1777 "$root/tmp" "$root/var/tmp"
}

unpack() {
    while read -r deb; do
        dpkg-deb --fsys-tarfile "$work/debs/$deb" | tar -x --keep-directory-symlink -C "$root"
    done
}

files_in_root() { (cd "$root" && find . -mindepth 1 | sed 's|^\./||' | sort); }

# Libraries that the programs given on stdin load, and the links on the way to them, as paths in the root.
libraries_of() {
    local program loader
    loader=$(cd "$root" && find usr/lib64 usr/lib -maxdepth 1 -name 'ld-linux*.so.*' | sort | head -1)
    echo "$loader"
    while read -r program; do
        # Scripts and static programs load none.
        (chroot "$root" "/$loader" --list "/$program" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p') 2>/dev/null || true
    done | sort -u | while read -r library; do
        (cd "$root" && realpath --relative-to=. "$(dirname ".$library")") | sed "s|\$|/$(basename "$library")|"
        chroot_path "$library"
    done
    chroot_path "/$loader"
}

# Where a path leads inside the root once its links are followed.
chroot_path() { chroot "$root" /usr/bin/busybox realpath "$1" | sed 's|^/||'; }

# The paths that a layer keeps of what lies in the root.
kept_files() {
    local pattern
    lines "$recipes/$1.keep" | while read -r pattern; do
        # shellcheck disable=SC2086 # patterns are meant to be expanded
        (cd "$root" && find ${pattern%/} 2>/dev/null) || true
    done | sort -u >"$work/$1.kept"
    cat "$work/$1.kept"
    (cd "$root" && while read -r path; do [ -f "$path" ] && [ -x "$path" ] && echo "$path"; done <"$work/$1.kept" || true) |
        libraries_of
}

add_busybox_links() {
    local program
    chroot "$root" /usr/bin/busybox --list | while read -r program; do
        [ -e "$root/usr/bin/$program" ] || [ -e "$root/usr/sbin/$program" ] || ln -s busybox "$root/usr/bin/$program"
        echo "usr/bin/$program"
    done
}

own_files() {
    cp -a --no-preserve=ownership "$recipes/files/$1/." "$root/"
    (cd "$recipes/files/$1" && find . -mindepth 1 | sed 's|^\./||')
}

# Folders and links that every layer's paths need above them.
with_parents() {
    awk '{ n = split($0, part, "/"); path = ""; for (i = 1; i <= n; i++) { path = path (i > 1 ? "/" : "") part[i]; print path } }' |
        sort -u
}

pack_layer() {
    (cd "$root" && tar --no-recursion --mtime="$created" --numeric-owner -c -f "$work/out/$1.tar" -T "$work/$1.list")
}

build_layers() {
    local name
    resolve_and_fetch || { apt-get update -qq 2>/dev/null && resolve_and_fetch; } || fail "cannot fetch Debian packages"
    make_root
    files_in_root >"$work/skeleton"
    unpack <"$work/base.debs"
    {
        cat "$work/skeleton"
        own_files base
    } >"$work/base.list.0"
    rm -f "$root/usr/sbin/ip" # on older releases a second name of the same program
    kept_files base >>"$work/base.list.0"
    add_busybox_links >>"$work/base.list.0"
    comm -13 "$work/base.debs" "$work/all.debs" | unpack
    own_files frr >"$work/frr.list.0"
    mkdir -p "$root/run/frr" "$root/run/lldpd"
    chown 101:101 "$root/run/frr"
    chown -R 101:101 "$root/etc/frr"
    kept_files frr >>"$work/frr.list.0"
    echo run/lldpd >>"$work/base.list.0"
    echo run/frr >>"$work/frr.list.0"
    for name in base frr; do
        with_parents <"$work/$name.list.0" | while read -r path; do
            if [ -e "$root/$path" ] || [ -L "$root/$path" ]; then echo "$path"; fi
        done >"$work/$name.list"
    done
    # Configuration of a package of the other layer belongs to that one.
    comm -13 "$work/base.list" "$work/frr.list" >"$work/frr.only"
    mv "$work/frr.only" "$work/frr.list"
    for name in base frr; do pack_layer "$name"; done
}

json_list() { sed 's/.*/"&"/' | paste -sd, -; }

# The configuration file of one image, as the image format has it.
image_config() {
    local image=$1 layers=$2 ids layer
    ids=$(for layer in $layers; do echo "sha256:$(sha256sum <"$work/out/$layer.tar" | cut -d' ' -f1)"; done | json_list)
    cat <<JSON
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"$created",
"config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/",
"Entrypoint":$(stand_in_field "$image" 3),"Cmd":$(stand_in_field "$image" 4),
"Labels":{"archetype.stand-in":"true","archetype.stand-in.of":"$image","archetype.stand-in.recipe":"$(recipe_key)"}},
"rootfs":{"type":"layers","diff_ids":[$ids]},
"history":[$(for layer in $layers; do echo "{\"created\":\"$created\",\"comment\":\"stand-in: $layer\"}"; done | paste -sd, -)]}
JSON
}

# Writes an archive as `docker save` does, with both images sharing a layer.
pack_images() {
    local image layers name entries=()
    while read -r image; do
        layers=$(stand_in_field "$image" 2)
        image_config "$image" "$layers" >"$work/config"
        name=$(sha256sum <"$work/config" | cut -d' ' -f1).json
        mv "$work/config" "$work/out/$name"
        entries+=("{\"Config\":\"$name\",\"RepoTags\":[\"$image\"],\"Layers\":[$(for l in $layers; do echo "$l.tar"; done | json_list)]}")
    done < <(images)
    (IFS=, && echo "[${entries[*]}]") >"$work/out/manifest.json"
    tar -C "$work/out" -c -f "$1.new" .
    mv "$1.new" "$1"
}

build_stand_ins() {
    local target=$1
    say "building stand-ins from Debian packages"
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    root=$work/root
    mkdir -p "$work/debs/partial" "$work/out" "$root"
    : >"$work/status"
    need_package_lists
    build_layers
    pack_images "$target"
    rm -rf "$work"
    trap - EXIT
    say "$(du -h "$target" | cut -f1) in $target"
}

# ---- what the command line offers ----------------------------------------------------------------------------------

pull() { timeout "${ARCHETYPE_PULL_TIMEOUT:-180}" docker pull -q "$1" >/dev/null 2>&1; }

# True when the engine has, or can get, every image as its maker made it.
originals_available() {
    local image
    engine_answers || return 1
    while read -r image; do
        if is_present "$image" && ! is_stand_in "$image"; then continue; fi
        if is_stand_in "$image"; then return 1; fi
        pull "$image" || return 1
    done < <(images)
}

make_cache() {
    local target
    target=$(archive)
    [ -f "$target" ] && return
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    [ -f "$target" ] && return
    rm -rf "$cache"/build.* "$cache"/images-*.tar "$cache"/*.new
    if originals_available; then
        # shellcheck disable=SC2046 # a list of words is what is wanted
        docker save -o "$target.new" $(images)
        mv "$target.new" "$target"
    else
        build_stand_ins "$target"
    fi
    exec 9>&-
}

load() {
    local target
    target=$(archive)
    [ -f "$target" ] || fail "no archive of the images in $cache: run 'make images' or 'scripts/images.sh --cache' first"
    docker load -q -i "$target" >&2
}

provide() {
    local image missing=()
    engine_answers || fail "no Docker Engine answers at ${DOCKER_HOST:-its usual socket}: run 'make setup' first"
    while read -r image; do
        if is_present "$image" && ! is_stand_in "$image"; then say "$image is here"; continue; fi
        if [ "$(label_of "$image" archetype.stand-in.recipe)" = "$(recipe_key)" ]; then
            say "$image is here (a stand-in)"
            continue
        fi
        say "pulling $image"
        if pull "$image"; then say "$image pulled"; else missing+=("$image"); fi
    done < <(images)
    [ ${#missing[@]} -gt 0 ] || return 0
    say "could not pull ${missing[*]}: stand-ins take their names"
    provide_stand_ins "${missing[@]}"
}

# An archive holds both images; one that was pulled keeps its name.
provide_stand_ins() {
    local image kept=()
    while read -r image; do
        is_present "$image" && ! is_stand_in "$image" && kept+=("$image $(docker image inspect -f '{{.Id}}' "$image")")
    done < <(images)
    make_cache
    load
    for image in ${kept[@]+"${kept[@]}"}; do docker tag "${image#* }" "${image% *}"; done
}

clean() {
    local image
    rm -rf "$cache"/build.* "$cache"/images-*.tar "$cache"/*.new "$cache/lock"
    if [ -d "$cache" ]; then rmdir --ignore-fail-on-non-empty "$cache"; fi
    engine_answers || { say "no engine answers; removed the cache only"; return; }
    while read -r image; do
        if is_stand_in "$image"; then
            docker rmi "$image" >/dev/null && say "removed $image" || say "$image is in use and stays"
        fi
    done < <(images)
}

case ${1:-} in
    "") provide ;;
    --cache) make_cache ;;
    --load) load ;;
    --clean) clean ;;
    *) fail "usage: $0 [--cache|--load|--clean]" ;;
esac
