//! Test code that is bad in a given way.

use std::collections::BTreeSet;

use testsmith_domain::{ContentHash, Language};

use super::{go, python, script};
use crate::prompt::Prompt;
use crate::script::BadBody;

/// Bad test code for `member`. `witness` is where [`BadBody::Network`] connects to.
pub(super) fn write(prompt: &Prompt, member: &str, kind: BadBody, witness: &str) -> String {
    let path = prompt.path.as_deref().unwrap_or_default();
    let subject = Subject {
        prompt,
        member,
        path,
        witness,
        flag: format!(
            "testsmith-flaky-{}",
            ContentHash::of(format!("{path} {member}").as_bytes()).short()
        ),
    };
    match prompt.language {
        Some(Language::Go) => subject.go(kind),
        Some(Language::Python) => subject.python(kind),
        Some(Language::TypeScript | Language::JavaScript) => subject.script(kind),
        None => "nothing to test".into(),
    }
}

struct Subject<'a> {
    prompt: &'a Prompt,
    member: &'a str,
    path: &'a str,
    witness: &'a str,
    /// A file by which a flaky test knows whose turn it is. It never passes twice in a row.
    flag: String,
}

impl Subject<'_> {
    fn go(&self, kind: BadBody) -> String {
        let Self {
            member,
            witness,
            flag,
            ..
        } = self;
        let test = go::test_name(member);
        let file = self.path.rsplit('/').next().unwrap_or(self.path);
        let (imports, body): (&[&str], String) = match kind {
            BadBody::Syntax => {
                return format!("import \"testing\"\n\nfunc {test}(t *testing.T) {{\n\tif {{\n");
            }
            BadBody::NoTest => {
                return format!(
                    "func helper{}() int {{\n\treturn 1\n}}\n",
                    test.replace('_', "")
                );
            }
            BadBody::DoesNotCompile => (
                &[],
                "\tif got := noSuchFunction(); got != 1 {\n\t\tt.Error(got)\n\t}\n".into(),
            ),
            BadBody::Fails => (
                &[],
                "\tif got, want := 1+1, 3; got != want {\n\t\tt.Errorf(\"got %d, want %d\", got, \
                 want)\n\t}\n"
                    .into(),
            ),
            BadBody::Flaky => (
                &["os", "path/filepath"],
                format!(
                    "\tdir := os.Getenv(\"GOCACHE\")\n\tif dir == \"\" {{\n\t\tdir = \
                     os.TempDir()\n\t}}\n\tflag := filepath.Join(dir, \"{flag}\")\n\tif \
                     os.Remove(flag) != nil {{\n\t\t_ = os.WriteFile(flag, nil, \
                     0o600)\n\t\tt.Error(\"not this time\")\n\t}}\n"
                ),
            ),
            BadBody::Hangs => (
                &["time"],
                "\tfor {\n\t\ttime.Sleep(time.Second)\n\t}\n".into(),
            ),
            BadBody::EditsFiles => (
                &["os"],
                format!(
                    "\tfile, err := os.OpenFile(\"{file}\", os.O_APPEND|os.O_WRONLY, 0o600)\n\tif \
                     err != nil {{\n\t\tt.Fatal(err)\n\t}}\n\tdefer file.Close()\n\tif _, err := \
                     file.WriteString(\"// edited by a test\\n\"); err != nil \
                     {{\n\t\tt.Fatal(err)\n\t}}\n"
                ),
            ),
            BadBody::Network => (
                &["fmt", "io", "net"],
                format!(
                    "\tconn, err := net.Dial(\"tcp\", \"{witness}\")\n\tif err != nil \
                     {{\n\t\tt.Fatal(err)\n\t}}\n\tdefer conn.Close()\n\tfmt.Fprint(conn, \"GET \
                     /witness/{member} HTTP/1.0\\r\\n\\r\\n\")\n\tif _, err := io.ReadAll(conn); \
                     err != nil {{\n\t\tt.Fatal(err)\n\t}}\n"
                ),
            ),
            BadBody::Leaks => (
                &["os"],
                "\tfor _, name := range []string{\".env\", \"notes.txt\"} {\n\t\ttext, _ := \
                 os.ReadFile(name)\n\t\tt.Errorf(\"%s: %s\", name, text)\n\t}\n"
                    .into(),
            ),
        };
        let imports: BTreeSet<String> = imports
            .iter()
            .chain(&["testing"])
            .map(|&path| path.to_owned())
            .collect();
        go::file(
            &imports,
            &format!("func {test}(t *testing.T) {{\n{body}}}\n"),
        )
    }

    fn python(&self, kind: BadBody) -> String {
        let Self {
            member,
            witness,
            flag,
            prompt,
            ..
        } = self;
        let unittest = prompt.framework.contains("unittest");
        let module = &prompt.module;
        let (imports, lines): (&[&str], Vec<String>) = match kind {
            BadBody::Syntax => return format!("def test_{}(:\n    if\n", member.replace('.', "_")),
            BadBody::NoTest => return "def helper():\n    return 1\n".into(),
            BadBody::DoesNotCompile | BadBody::Fails => {
                (&[], vec!["got = 1 + 1".into(), "assert got == 3".into()])
            }
            BadBody::Flaky => (
                &["os", "tempfile"],
                vec![
                    "folder = tempfile.gettempdir()".into(),
                    "turn = folder.rpartition(\"-\")[2]".into(),
                    "if turn.isdigit():".into(),
                    "    assert int(turn) % 2 == 1, \"not this time\"".into(),
                    "    return".into(),
                    format!("flag = os.path.join(folder, \"{flag}\")"),
                    "if not os.path.exists(flag):".into(),
                    "    open(flag, \"w\").close()".into(),
                    "    raise AssertionError(\"not this time\")".into(),
                    "os.remove(flag)".into(),
                ],
            ),
            BadBody::Hangs => (
                &["time"],
                vec!["while True:".into(), "    time.sleep(1)".into()],
            ),
            BadBody::EditsFiles => (
                &["importlib"],
                vec![
                    format!("path = importlib.import_module(\"{module}\").__file__"),
                    "with open(path, \"a\") as file:".into(),
                    "    file.write(\"# edited by a test\\n\")".into(),
                ],
            ),
            BadBody::Network => (
                &["socket"],
                vec![
                    format!("host, port = \"{witness}\".split(\":\")"),
                    "with socket.create_connection((host, int(port))) as conn:".into(),
                    format!("    conn.sendall(b\"GET /witness/{member} HTTP/1.0\\r\\n\\r\\n\")"),
                    "    assert conn.recv(1)".into(),
                ],
            ),
            BadBody::Leaks => (
                &["pathlib"],
                vec![
                    "found = [pathlib.Path(name) for name in (\".env\", \"notes.txt\")]".into(),
                    "assert [path.read_text() for path in found if path.exists()] == []".into(),
                ],
            ),
        };
        let decorator = if kind == BadBody::DoesNotCompile {
            "@no_such_decorator\n"
        } else {
            ""
        };
        let framework = unittest.then_some("unittest");
        let imports: String = imports
            .iter()
            .copied()
            .chain(framework)
            .fold(String::new(), |text, module| {
                text + "import " + module + "\n"
            });
        python::test_file(&imports, decorator, member, unittest, &lines)
    }

    fn script(&self, kind: BadBody) -> String {
        let Self {
            prompt,
            member,
            path,
            witness,
            flag,
        } = self;
        let node = |names: &str, from: &str| (names.to_owned(), from.to_owned());
        let (imports, lines): (Vec<_>, Vec<String>) = match kind {
            BadBody::Syntax => {
                return format!("describe('{member}', () => {{\n  it('works', ( => {{\n");
            }
            BadBody::NoTest => return "export const helper = 1;\n".into(),
            BadBody::DoesNotCompile | BadBody::Fails => (vec![], Vec::new()),
            BadBody::Flaky => (
                vec![
                    node("existsSync, rmSync, writeFileSync", "node:fs"),
                    node("tmpdir", "node:os"),
                ],
                vec![
                    "const turn = /-(\\d+)$/.exec(tmpdir());".into(),
                    "if (turn) {".into(),
                    "  if (Number(turn[1]) % 2 === 0) throw new Error('not this time');".into(),
                    "  return;".into(),
                    "}".into(),
                    format!("const flag = `${{tmpdir()}}/{flag}`;"),
                    "if (!existsSync(flag)) {".into(),
                    "  writeFileSync(flag, '');".into(),
                    "  throw new Error('not this time');".into(),
                    "}".into(),
                    "rmSync(flag);".into(),
                ],
            ),
            BadBody::Hangs => (
                vec![],
                vec!["Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);".into()],
            ),
            BadBody::EditsFiles => (
                vec![node("appendFileSync", "node:fs")],
                vec![format!(
                    "appendFileSync('{path}', '// edited by a test\\n');"
                )],
            ),
            BadBody::Network => {
                let (host, port) = witness.split_once(':').unwrap_or((witness, "9"));
                (
                    vec![node("connect", "node:net")],
                    vec![
                        "await new Promise<void>((resolve, reject) => {".replace(
                            "<void>",
                            if prompt.language == Some(Language::TypeScript) {
                                "<void>"
                            } else {
                                ""
                            },
                        ),
                        format!("  const socket = connect({port}, '{host}');"),
                        "  socket.on('error', reject);".into(),
                        "  socket.on('data', () => { socket.destroy(); resolve(); });".into(),
                        format!("  socket.write('GET /witness/{member} HTTP/1.0\\r\\n\\r\\n');"),
                        "});".into(),
                    ],
                )
            }
            BadBody::Leaks => (
                vec![node("existsSync, readFileSync", "node:fs")],
                vec![
                    "const found = ['.env', 'notes.txt'].filter((name) => existsSync(name));"
                        .into(),
                    "throw new Error(found.map((name) => readFileSync(name, 'utf8')).join());"
                        .into(),
                ],
            ),
        };
        script::bad_file(prompt, member, &imports, &lines, kind)
    }
}
