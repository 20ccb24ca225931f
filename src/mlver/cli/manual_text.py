"""What the man pages say beside what click knows: examples, configuration, files.

The markup is that of the docstrings (`mlver.cli.manual` reads it): paragraphs, a block that
starts with a line `\\b` is kept as it is, and a paragraph whose first line ends in `::` is a term
with its explanation.
"""

from __future__ import annotations

DESCRIPTION = """\
A Git extension for people who keep large data and model files. A file that matches a tracked
pattern is replaced in git by a pointer of about a hundred bytes; its content goes, cut into
chunks that are stored once, into the store of this repository and from there to a remote: a
directory or an S3 bucket that clones share. Ordinary git commands keep working: add, commit, push,
clone, checkout, switch, merge, rebase, stash.

There is no server. `git push` sends content before commits; `git clone` and `git checkout` bring
it back.
"""

PLUMBING: dict[str, tuple[str, str]] = {
    "clean": ("clean [--] PATH", "Content on standard input, its pointer on standard output."),
    "diff-driver": (
        "diff-driver PATH OLD-FILE OLD-HEX OLD-MODE NEW-FILE NEW-HEX NEW-MODE",
        "What git diff shows of a tracked file: what changed in it, sizes and oids.",
    ),
    "filter-process": (
        "filter-process [--skip-smudge]",
        "git's long-running filter (protocol version 2), for clean and smudge.",
    ),
    "hook": (
        "hook NAME [ARGUMENT...]",
        "The work behind the hooks: pre-commit, prepare-commit-msg, post-commit, post-checkout,"
        " post-merge, post-rewrite, commit-msg, pre-push.",
    ),
    "merge-driver": (
        "merge-driver BASE OURS THEIRS MARKER-SIZE PATH",
        "Merges two pointers, by what the files hold. Where that leaves conflicts, ours stands in"
        " the file and the exit code is 1.",
    ),
    "pointer": (
        "pointer [FILE]",
        "Prints the pointer that FILE (or standard input) would have. Nothing is stored.",
    ),
    "smudge": (
        "smudge [--skip-smudge] [--] PATH",
        "A pointer on standard input, its content on standard output; the pointer again where the"
        " content cannot be had.",
    ),
    "textconv": (
        "textconv FILE",
        "A file as text for git log -p and git show.",
    ),
}
"""Called by git, not by people: name → (synopsis, what it does)."""

MAIN: tuple[tuple[str, str], ...] = (
    (
        "CONFIGURATION",
        """\
In git's configuration, by `git config`:

mlver.remote::
The name of the remote that content is pushed to where several are known.

mlver.remote.NAME.url::
A remote: an absolute directory, file:///a/directory, or s3://bucket/prefix, which may be followed
by ?endpoint=https://HOST:PORT&region=REGION. Written by `git mlver remote add`.

mlver.remote.NAME.profile::
The profile of the AWS settings (~/.aws/config) to use for an S3 remote. Otherwise AWS_PROFILE,
and whatever else the AWS settings say of keys, region and endpoint.

mlver.remote.NAME.expectedBucketOwner::
The account that an S3 remote's bucket must belong to; a bucket of another account is refused.

mlver.remote.NAME.retentionDays, mlver.remote.NAME.retentionMode::
How long S3 keeps a pack or an index object from being deleted (Object Lock), GOVERNANCE or
COMPLIANCE. 0 days, the default: not at all. Collection has to wait for it.

mlver.remote.NAME.probed, .conditionalPut, .contentMd5, .signedBody, .ranges, .consistentListing::
What the server of an S3 remote was seen to do, and where. Written by `git mlver remote add` and
`git mlver remote trust`; told by `git mlver doctor`.

mlver.trust.NAME.url::
The URL at which a remote that .mlver.toml names is used. Written by `git mlver remote trust`.

mlver.smudgeLimit::
A size such as 64MiB, which is the default. git keeps what a filter answers in memory, so a larger
file is checked out as its pointer and its content is written directly after that.

mlver.cacheSize::
A size such as 10g that the store of this clone is kept to, after a push and after a fetch: what a
remote was just seen to hold goes, the least recently used first. What no remote holds, or only this
clone names, stays. With 0 the worktree is the only copy, and content is written straight into it.
Unset: no bound.

mlver.fetchInclude, mlver.fetchExclude::
Patterns, as in .gitignore, of the files whose content this clone wants, and of those that it does
not; several with commas between, or in several values. The others stay pointers at checkout, pull
and fetch, until `git mlver checkout PATH`. An empty value takes back those before it. Written by
`git mlver clone --include`.

mlver.autoHooks::
Set to false, a clone without hooks is left without them. Otherwise the filter puts them there the
first time that it works in a clone. Set by `git mlver uninstall --local`.

mlver.pushRuns::
Set to false, `git push` leaves the records of runs in this clone.

mlver.trailer::
Set to false, commits get no trailer `Mlver-Run` that names the runs whose outputs they bring.

In .mlver.toml at the top of the worktree, for everyone who works in the repository. It comes with
a clone, so it can set rules and name remotes, and never a program or a secret:

policy::
What a commit does with a staged file that is too large for git, or matches `patterns`, and is not
tracked: "capture" (the default) makes it a pointer and adds it to .gitattributes; "reject" refuses
the commit; "off" does nothing.

threshold::
The size above which a file is too large, such as "10MiB", which is the default.

patterns::
A list of patterns of files that are captured whatever their size.

remote::
The name of the remote to use where several are known.

[keys]::
Patterns of paths with the columns that tell rows apart, for diff and merge:
"data/*.csv" = ["user", "day"].

[runs] policy::
What a commit and a push do with a model file that changed without a recorded run that made it:
"warn", "reject" or "off". Unless it is set, a repository that has runs is warned, and one that has
none is left in peace.

[runs] sidecar::
Set to true, `git mlver run` writes MODEL.mlver.json beside each model that it made.

[runs] models::
A list of patterns of the files that this policy looks at, in place of the usual types of models.

[remotes.NAME] url::
A remote for everyone. It is used in a clone after `git mlver remote trust NAME`.
""",
    ),
    (
        "ENVIRONMENT",
        """\
MLVER_SKIP_SMUDGE::
Set to 1, checkouts leave pointers in the worktree; `git mlver pull` brings the content.

MLVER_DEBUG::
Set to 1, an error is told with its traceback, in filter, hooks and drivers too. For a report.
""",
    ),
    (
        "FILES",
        """\
.gitattributes::
Which files are tracked: PATTERN filter=mlver diff=mlver merge=mlver -text. With mlver-key=COLUMN
(or several, with commas between), diff and merge tell the rows of these files apart by it; with
mlver-strict=row, two changes of one row are a conflict, whatever cells they are in.

.mlver.toml::
Rules for everyone; see CONFIGURATION.

.git/mlver/::
The store of this clone and all its worktrees. packs/ holds content; index.sqlite is derived from
it, and can be deleted at any time.

DIR.git/mlver/remote/::
Content beside a git remote that is a directory on this machine, where no other remote is set.
""",
    ),
)

EXAMPLES: dict[str, str] = {
    "add": """\
\\b
git mlver add data/train.parquet
git mlver add --all
""",
    "apply": """\
\\b
git mlver apply v2.patch
git mlver apply v2.patch old.csv      # a patch of one file, onto this one
""",
    "checkout": """\
\\b
git mlver checkout                    # everything that is a pointer still
git mlver checkout --no-fetch data/   # only what this machine has
""",
    "clone": """\
\\b
git mlver clone /srv/git/project.git
git mlver clone --depth 1 --branch v2 /srv/git/project.git look
git mlver clone --include 'models,*.csv' /srv/git/project.git part
""",
    "compare": """\
\\b
git mlver compare latest 3f9c21aa
git mlver compare --all train-small train-large
""",
    "completion": """\
\\b
git-mlver completion bash > ~/.local/share/bash-completion/completions/git-mlver
""",
    "conflicts": """\
\\b
git mlver conflicts
git mlver conflicts --all data.csv
git mlver conflicts --json
""",
    "diff": """\
\\b
git mlver diff                        # what is not staged yet
git mlver diff v1 v2 -- models/
git mlver diff --key id --stat v1 v2 -- data.csv
git mlver diff --exit-code HEAD       # exit 1 where something differs
git mlver diff --no-index old.csv new.csv
git mlver diff v1 v2 --html diff.html
git mlver diff v1 v2 --patch v2.patch # for git mlver apply
git mlver diff v1 v2 --by label       # changes for each value of a column
""",
    "doctor": """\
\\b
git mlver doctor
git mlver doctor --fix                # settings, hooks, conflict markers
""",
    "drop": """\
\\b
git mlver drop data/raw/
git mlver checkout data/raw/          # back again
""",
    "env": """\
\\b
git mlver env --json
""",
    "export": """\
\\b
git mlver export model.safetensors --format cyclonedx -o model.cdx.json
git mlver export model.safetensors@v1 --format slsa
git mlver export latest --format openlineage --upstream
""",
    "fetch": """\
\\b
git mlver fetch                       # what is checked out here
git mlver fetch team v1 v2            # what two commits name, from one remote
git mlver fetch --all                 # everything, before a flight
""",
    "fsck": """\
\\b
git mlver fsck
git mlver fsck --pointers             # quick: for continuous integration
git mlver fsck --remote --repair
""",
    "gc": """\
\\b
git mlver gc --remote                 # says what would be condemned and deleted
git mlver gc --remote team --yes
git mlver gc --remote --yes --json    # from a timer: each run goes one step on
""",
    "init": """\
\\b
git init project && cd project
git mlver init
git mlver track '*.parquet'
""",
    "install": """\
\\b
git mlver install                     # once a user
git mlver install --local --skip-smudge
""",
    "lineage": """\
\\b
git mlver lineage model.safetensors
git mlver lineage data/raw.csv@v1 --down --depth 2
git mlver lineage model.safetensors --format dot | dot -Tsvg > lineage.svg
""",
    "log": """\
\\b
git mlver log model.safetensors
git mlver log --rev v2 -n 5 data/train.parquet
""",
    "ls": """\
\\b
git mlver ls
git mlver ls --rev v1 --long models/
""",
    "merge": """\
\\b
git mlver merge --dry-run their-branch
git mlver merge --dry-run --json origin/main
""",
    "merge-file": """\
\\b
git mlver merge-file base.csv ours.csv theirs.csv            # the result is in ours.csv
git mlver merge-file --key id --json -o out.csv base.csv ours.csv theirs.csv
git mlver merge-file --theirs -o out.csv base.csv ours.csv theirs.csv
""",
    "prune": """\
\\b
git mlver prune                       # says what would be freed
git mlver prune --yes
""",
    "pull": """\
\\b
git mlver pull
git mlver pull --include 'models/**' --exclude '*.onnx'
""",
    "push": """\
\\b
git mlver push
git mlver push team --all
git mlver push --include models       # a part first
""",
    "refresh": """\
\\b
git mlver refresh --dry-run           # what is stale, and why
git mlver refresh models/
""",
    "remote": """\
\\b
git mlver remote add team /shared/mlver/project --share
git mlver remote add team s3://bucket/project --set profile=data
git mlver remote list
git mlver remote trust team           # in a clone, when asked to
git mlver remote compact              # when a push says that there are many index objects
""",
    "reproduce": """\
\\b
git mlver reproduce model.safetensors
git mlver reproduce model.safetensors@v1 --from-scratch
git mlver reproduce 0192f0c1 --no-env --rtol 1e-3
""",
    "resolve": """\
\\b
git mlver resolve data.csv --theirs
git mlver resolve data.csv --key 17 --col label --ours
git mlver resolve data.csv --key user=5 --key day=2 --col n --value 8
git mlver resolve data.csv --from mended.csv
""",
    "runs": """\
\\b
git mlver runs
git mlver runs --filter "params.lr = '0.1' and metrics.acc > 0.9" --sort '-metrics.acc'
git mlver runs --columns name,params.lr,metrics.acc --limit 0
git mlver runs --filter "status = 'failed' and started > '2026-01-31'" --csv > failed.csv
""",
    "show": """\
\\b
git mlver show latest
git mlver show 3f9c21aa --stderr
git mlver show train-large --json
""",
    "run": """\
\\b
git mlver run -- python train.py --lr 0.1
git mlver run --name big --param seed=1 -- ./train.sh
""",
    "status": """\
\\b
git mlver status
git mlver status --all data/
git mlver status --json
""",
    "testremote": """\
\\b
git mlver testremote s3://bucket/prefix
git mlver testremote 's3://bucket/prefix?endpoint=https://minio.example:9000'
git mlver testremote --fast team      # a remote of this clone, by its name
""",
    "track": """\
\\b
git mlver track '*.parquet' '*.safetensors'
git mlver track 'data/**'
git mlver track                       # the patterns that are in force here
""",
    "uninstall": """\
\\b
git mlver uninstall --local           # this repository: hooks and settings
git mlver uninstall                   # this user
""",
    "verify": """\
\\b
git mlver verify                      # every model of HEAD
git mlver verify --strict origin/main..HEAD
""",
    "untrack": """\
\\b
git mlver untrack '*.csv'
git add --renormalize .               # these files go into git itself now
""",
    "why": """\
\\b
git mlver why model.safetensors
git mlver why data/features.parquet@v1 --json
""",
}

JSON = """\
With --json one document is printed. Its shape is a contract: docs/schema/{name}.json states it,
and "version" grows when a field changes its meaning. New fields may be added at any time.
"""
