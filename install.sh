#!/bin/sh
# Installs git-mlver for this user, from this checkout. Linux and macOS.
#
# Everything is put into folders of this user (or below --prefix), and every file is written down,
# so that --uninstall takes out exactly that. Running it again upgrades in place.
set -eu
unset CDPATH PYTHONPATH PYTHONHOME

HERE=$(cd "$(dirname "$0")" && pwd)
MARK="# git-mlver: written by install.sh"

usage() {
	cat <<'END'
usage: ./install.sh [--prefix DIR] [--python PYTHON] [--no-git-config] [-v]
       ./install.sh --uninstall [--prefix DIR]
       ./install.sh --demo [--keep]
       ./install.sh --test

  --prefix DIR      install below DIR instead of ~/.local
  --python PYTHON   the Python to use; it must be 3.11 or newer
  --no-git-config   do not run `git mlver install`: git is told nothing
  --uninstall       take out everything that an installation has put in
  --demo            show the main job on real data, in a scratch folder that is removed again
  --keep            with --demo: leave the scratch folder
  --test            install what the tests need into build/venv-test, and run them
  -v, --verbose     show what pip says
END
}

say() { printf '%s\n' "$*"; }

fail() { # WHAT [WHY [NEXT]]
	say "install.sh: $1" >&2
	[ -z "${2-}" ] || say "  why:  $2" >&2
	[ -z "${3-}" ] || say "  next: $3" >&2
	exit 1
}

# What is removed at the end: an installation that was not finished, the demo's folder.
unfinished='' scratch='' log=''
cleanup() {
	[ -z "$unfinished" ] || remove_everything
	[ -z "$scratch" ] || rm -rf "$scratch"
	[ -z "$log" ] || rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# -- words ------------------------------------------------------------------------------------

action=install pip_cache='' prefix='' python='' git_config=yes keep='' verbose=''
while [ $# -gt 0 ]; do
	case $1 in
	--prefix) [ $# -gt 1 ] || fail "--prefix needs a folder"; prefix=$2; shift ;;
	--prefix=*) prefix=${1#*=} ;;
	--python) [ $# -gt 1 ] || fail "--python needs a program"; python=$2; shift ;;
	--python=*) python=${1#*=} ;;
	--no-git-config) git_config='' ;;
	--uninstall) action=uninstall ;;
	--demo) action=demo ;;
	--keep) keep=yes ;;
	--test) action=test ;;
	-v | --verbose) verbose=yes ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

# -- what this machine has --------------------------------------------------------------------

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() { # sets python
	bare=''
	for candidate in ${python:+"$python"} python3 python3.14 python3.13 python3.12 python3.11 python; do
		command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate" || candidate=''
		if [ -n "$candidate" ] && has_venv "$candidate"; then
			python=$candidate
			return
		fi
		bare=${bare:-$candidate}
		[ -z "$python" ] || break
	done
	if [ -n "$bare" ]; then
		fail "this Python cannot make an environment: $bare" "its modules venv and ensurepip are missing" \
			"install them (Debian, Ubuntu: apt install python3-venv), then run this again"
	fi
	fail "no Python that can be used was found${python:+: $python}" \
		"git-mlver needs Python 3.11 or newer; python3 is $(python3 --version 2>&1 || echo not there)" \
		"install one, then run this again (or name it: --python /a/path/python3.12)"
}

check_git() {
	command -v git >/dev/null 2>&1 ||
		fail "git was not found" "no folder of PATH holds it" "install git 2.34 or newer"
	version=$(git version | sed -e 's/^git version //' -e 's/[^0-9.].*//')
	major=${version%%.*} rest=${version#*.}
	minor=${rest%%.*}
	[ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge 34 ]; } ||
		fail "git $version is too old" "git-mlver needs 2.34 or newer" "upgrade git"
}

quietly() { # WHAT COMMAND… : its output only with -v, or where it fails
	what=$1
	shift
	if [ -n "$verbose" ]; then
		"$@" || fail "$what failed"
		return
	fi
	log=$(mktemp "${TMPDIR:-/tmp}/git-mlver-install.XXXXXX")
	if ! "$@" >"$log" 2>&1; then
		cat "$log" >&2
		fail "$what failed" "see above" "mend that, then run this again"
	fi
	rm -f "$log"
	log=''
}

environment() { # FOLDER : an environment of its own, made anew where its Python is gone
	if ! { [ -x "$1/bin/python" ] && is_new_enough "$1/bin/python"; }; then
		find_python
		quietly "making the environment $1" "$python" -m venv --clear "$1"
	fi
}

pip_install() { # FOLDER WORD…
	into=$1
	shift
	PIP_DISABLE_PIP_VERSION_CHECK=1 \
		quietly "installing git-mlver with pip" "$into/bin/python" -I -m pip install --no-input \
		${pip_cache:+"$pip_cache"} "$@"
}

# -- where things go --------------------------------------------------------------------------

set_places() {
	if [ -n "$prefix" ]; then
		case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
		share=$prefix/share bin=$prefix/bin man=$prefix/share/man/man1
		bash_dir=$share/bash-completion/completions
		zsh_dir=$share/zsh/site-functions
		fish_dir=$share/fish/vendor_completions.d
	else
		[ -n "${HOME-}" ] || fail "HOME is not set" "" "set it, or use --prefix DIR"
		share=${XDG_DATA_HOME:-$HOME/.local/share} bin=$HOME/.local/bin
		man=$HOME/.local/share/man/man1 # man looks there for a program in ~/.local/bin
		bash_dir=${BASH_COMPLETION_USER_DIR:-$share/bash-completion}/completions
		zsh_dir=$share/zsh/site-functions
		fish_dir=${XDG_CONFIG_HOME:-$HOME/.config}/fish/completions
	fi
	data=$share/git-mlver
	venv=$data/venv
	list=$data/installed
	wrapper=$bin/git-mlver
}

quoted() { # a word as sh reads it back
	printf "'"
	printf %s "$1" | sed "s/'/'\\\\''/g"
	printf "'"
}

is_ours() { grep -q -x -F "$MARK" "$1" 2>/dev/null; }

note() { grep -q -x -F "$1" "$list" 2>/dev/null || printf '%s\n' "$1" >>"$list"; }

make_folder() { # FOLDER : with its parents; those that were not there are written down
	missing='' parent=$1
	while [ ! -d "$parent" ]; do
		missing="$missing$parent/
"
		parent=$(dirname "$parent")
	done
	mkdir -p "$1"
	printf %s "$missing" >>"$list"
}

put() { # FILE : from standard input, in one step, and written down
	make_folder "$(dirname "$1")"
	cat >"$1.mlver-new"
	chmod "${2:-644}" "$1.mlver-new"
	mv -f "$1.mlver-new" "$1"
	note "$1"
}

main_file() {
	"$venv/bin/python" -I -c 'import mlver, os
print(os.path.join(os.path.dirname(mlver.__file__), "__main__.py"))'
}

# -- install ----------------------------------------------------------------------------------

install_program() { # WORDS for pip
	if [ -e "$wrapper" ] && ! is_ours "$wrapper"; then
		fail "$wrapper is there already" "it is not from install.sh" \
			"take it out (perhaps: pip uninstall git-mlver), or use --prefix DIR"
	fi
	[ -d "$data" ] || unfinished=yes # where an upgrade fails, the old one stays
	make_folder "$data"
	environment "$venv"
	pip_install "$venv" --upgrade "$@"
	unfinished=''
	# -P and -E: neither the folder that git runs in nor PYTHONPATH can put code into it.
	put "$wrapper" 755 <<END
#!/bin/sh
$MARK
exec $(quoted "$venv/bin/python") -P -E $(quoted "$(main_file)") "\$@"
END
}

install_pages() {
	for page in "$HERE"/docs/man/*.1; do
		put "$man/${page##*/}" <"$page"
	done
	put_completion bash "$bash_dir/git-mlver"
	put_completion zsh "$zsh_dir/_git-mlver"
	put_completion fish "$fish_dir/git-mlver.fish"
}

put_completion() { # SHELL FILE
	text=$("$wrapper" completion "$1" 2>/dev/null)
	printf '%s\n' "$text" | put "$2"
}

install_all() {
	check_git
	set_places
	say "installing into $data …"
	install_program "$HERE"
	install_pages
	[ -z "$git_config" ] || quietly "git mlver install" "$wrapper" install --global
	say "$("$wrapper" --version | sed 's/, version//') is installed: $wrapper"
	case :$PATH: in
	*":$bin:"*)
		found=$(command -v git-mlver || :)
		[ "$found" = "$wrapper" ] || say "  note: $found comes before it on PATH"
		;;
	*)
		say "  note: $bin is not on PATH; put this into your shell's profile:"
		say "        export PATH=\"$bin:\$PATH\""
		;;
	esac
	[ -n "$git_config" ] || say "  note: git was not told of it; for that: git mlver install"
	say "  next: in a repository: git mlver init, then git mlver track '*.parquet'"
	say "  help: git help mlver"
}

# -- uninstall --------------------------------------------------------------------------------

forget_git_config() {
	process=$(git config --global --get filter.mlver.process 2>/dev/null || :)
	if [ -x "$venv/bin/python" ]; then
		program=$("$venv/bin/python" -I -c 'import shlex, sys
print("".join(shlex.split(sys.argv[1])[:1]))' "$process" 2>/dev/null || :)
		[ "$program" = "$venv/bin/python" ] || return 0 # another installation's
	else
		case $process in */git-mlver/venv/bin/python*) ;; *) return 0 ;; esac
	fi
	"$wrapper" uninstall --global >/dev/null 2>&1 && return 0
	for section in filter.mlver diff.mlver merge.mlver; do
		git config --global --remove-section "$section" 2>/dev/null || :
	done
}

remove_everything() { # what the list names: files, then folders that are empty
	made=$(grep '/$' "$list" | LC_ALL=C sort -r -u)
	while IFS= read -r file; do
		case $file in
		*/) ;;
		"$wrapper") ! is_ours "$file" || rm -f "$file" ;;
		*) rm -f "$file" ;;
		esac
	done <"$list"
	rm -rf "$data"
	while IFS= read -r empty; do
		[ -z "$empty" ] || rmdir "$empty" 2>/dev/null || :
	done <<END
$made
END
}

uninstall_all() {
	set_places
	if [ ! -f "$list" ]; then
		say "git-mlver is not installed in $data"
		return
	fi
	forget_git_config
	remove_everything
	say "git-mlver is uninstalled; repositories and their content are as they were"
	say "  note: hooks that git mlver init put into repositories stay. To take them out, delete the"
	say "        lines between '# >>> git-mlver >>>' and '# <<< git-mlver <<<' in .git/hooks/*"
}

# -- demo and tests ---------------------------------------------------------------------------

demo() {
	check_git
	folder=$(mktemp -d "${TMPDIR:-/tmp}/git-mlver-demo.XXXXXX")
	[ -n "$keep" ] || scratch=$folder
	prefix=$folder/installed
	set_places
	say "installing git-mlver and the demo's libraries into $folder …"
	pip_cache=--no-cache-dir # nothing is written to HOME
	install_program "$HERE[demo]"
	"$venv/bin/python" -P -E "$HERE/demo/story.py" --bin "$bin" "$folder/demo"
	if [ -n "$keep" ]; then say "kept: $folder"; else say "removing $folder"; fi
}

run_tests() {
	cd "$HERE"
	tests=$HERE/build/venv-test
	mkdir -p build
	environment "$tests"
	if ! cmp -s pyproject.toml "$tests/pyproject.toml"; then
		say "installing what the tests need into $tests …"
		pip_install "$tests" -e ".[demo,test]"
		cp pyproject.toml "$tests/pyproject.toml"
	fi
	failed=0
	PATH=$tests/bin:$PATH
	export PATH
	for check in "ruff check" "ruff format --check" mypy lint-imports; do
		say "== $check"
		# shellcheck disable=SC2086 # the words of one check
		$check || failed=1
	done
	say "== pytest"
	python -m pytest -n 2 && return "$failed"
}

case $action in
install) install_all ;;
uninstall) uninstall_all ;;
demo) demo ;;
test) run_tests ;;
esac
