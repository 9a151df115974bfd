# Makes a repository in `$1/ws` whose configuration, attributes, hooks and submodule all want to run something. What they
# run appends its own name to `$1/mark`.
set -eu
D=$1
M=$D/mark
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
who() { git config user.email a@example.org; git config user.name a; }
mkdir -p "$D" && cd "$D"
git init -q -b main up && cd up && who
mkdir src && echo 'print(1)' > src/a.py && echo x > src/b.txt && echo y > src/d.txt && git add -A && git commit -qm one
echo 2 >> src/a.py && git commit -qam two
git init -q -b main ../sub && (cd ../sub && who && echo s > s.txt && git add -A && git commit -qm s)
git -c protocol.file.allow=always submodule --quiet add ../sub src/sub && git commit -qm sub
# Signed, so that whoever looks at signatures starts a program.
git cat-file commit HEAD | awk '$0 == "" && !done { print "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n -----END PGP SIGNATURE-----"; done = 1 } { print }' > ../signed
git update-ref HEAD "$(git hash-object -t commit -w ../signed)" && git config receive.denyCurrentBranch ignore
cd .. && git -c protocol.file.allow=always clone -q --recurse-submodules up ws 2>/dev/null
cd ws && who && git tag v1 && git tag -am note v1a && git branch feature HEAD~1
echo stash >> src/b.txt && git stash -q
# Dirty, so that git has to look at what the files hold.
echo changed >> src/a.py && touch src/b.txt && echo dirty >> src/sub/s.txt
echo staged > src/new.txt && git add src/new.txt

# What reaches the other side, by a connection that leads nowhere else.
mkdir "$D/bin" && cat > "$D/bin/ssh" <<SSH
#!/bin/sh
echo core.sshCommand >> $M
for last; do :; done
case \$last in *receive*) exec env -i PATH="\$PATH" git receive-pack "$D/up" ;; esac
exec env -i PATH="\$PATH" git upload-pack "$D/up"
SSH
chmod +x "$D/bin/ssh"

hooks() {
  mkdir -p "$1"
  for hook in pre-commit prepare-commit-msg commit-msg post-commit pre-push post-checkout post-index-change \
    reference-transaction pre-auto-gc post-rewrite pre-merge-commit post-merge fsmonitor-watchman; do
    printf '#!/bin/sh\necho "hook" >> %s\ncat > /dev/null\n' "$M" > "$1/$hook" && chmod +x "$1/$hook"
  done
}
configuration() {
  s() { git config -f "$1" "$2" "$3"; }
  for key in core.fsmonitor core.editor core.askPass core.gitProxy core.alternateRefsCommand core.pager \
    sequence.editor pager.log pager.diff pager.show pager.status pager.branch pager.tag pager.blame pager.grep pager.stash \
    pager.reflog pager.shortlog pager.rev-list diff.external interactive.diffFilter gpg.program gpg.openpgp.program \
    gpg.ssh.program gpg.x509.program gpg.ssh.defaultKeyCommand trailer.x.command trailer.x.cmd merge.e.driver \
    diff.e.command diff.e.textconv remote.origin.uploadpack \
    remote.origin.receivepack uploadpack.packObjectsHook alias.status alias.log man.x.cmd browser.x.cmd difftool.x.cmd \
    mergetool.x.cmd guitool.x.cmd tar.tar.gz.command instaweb.httpd web.browser sendemail.sendmailCmd credential.helper; do
    s "$1" "$key" "sh -c 'echo $key >> $M; cat' --"
  done
  s "$1" credential.helper "!sh -c 'echo credential.helper >> $M' --"
  s "$1" submodule.src/sub.update "!sh -c 'echo submodule.update >> $M' --"
  while read -r key value; do s "$1" "$key" "$value"; done <<KEYS
log.showSignature true
core.sshCommand $D/bin/ssh
rerere.enabled true
log.follow true
log.mailmap true
commit.gpgSign true
commit.verbose true
commit.template /etc/passwd
tag.gpgSign true
push.gpgSign if-asked
push.recurseSubmodules on-demand
fetch.recurseSubmodules true
fetch.writeCommitGraph true
diff.submodule diff
diff.ignoreSubmodules none
diff.e.cachetextconv true
diff.e.binary true
diff.orderFile /etc/passwd
status.submoduleSummary true
submodule.recurse true
submodule.src/sub.ignore none
core.hooksPath $D/hooks
core.untrackedCache true
maintenance.auto true
gc.auto 1
gc.autoDetach false
stash.showPatch true
trailer.x.key X
trailer.x.ifmissing add
format.pretty %G? %s
mailmap.file /etc/passwd
mailmap.blob HEAD:.mailmap
blame.markUnblamableLines true
protocol.allow always
protocol.ext.allow always
protocol.file.allow always
remote.origin.promisor true
remote.origin.partialclonefilter blob:none
remote.origin.proxy http://127.0.0.1:1
remote.origin.vcs mark
http.proxy http://127.0.0.1:1
url.ext::sh.insteadOf https://
KEYS
}
hooks "$D/hooks" && hooks .git/hooks && hooks .git/modules/src/sub/hooks
configuration .git/config && configuration .git/modules/src/sub/config
git config -f .git/config core.repositoryformatversion 1 && git config -f .git/config extensions.worktreeConfig true
git config -f .git/config extensions.partialClone origin
configuration .git/config.worktree
for file in .gitattributes .git/info/attributes "$D/attributes" src/sub/.gitattributes .git/modules/src/sub/info/attributes; do
  mkdir -p "$(dirname "$file")" && printf '* filter=e diff=e merge=e\n' > "$file"
done
rm -f "$M"
