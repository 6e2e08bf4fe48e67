//! Source files for the tests.

pub const GO_MOD: &str = "module example.com/shop\n\ngo 1.19\n";

pub const GO: &str = "package shop

// Add adds.
func Add(a, b int) int {
	return a + b
}

// Twice doubles.
func Twice(a int) int {
	return a * 2
}
";

pub const PYTHON: &str = "\"\"\"Prices.\"\"\"


def add(a: int, b: int) -> int:
    \"\"\"Adds.\"\"\"
    return a + b


def twice(a: int) -> int:
    return a * 2


def _hidden(a):
    return a
";

pub const JAVASCRIPT: &str = "/** Adds. */
export function add(a, b) {
  return a + b;
}

export function twice(a) {
  return a * 2;
}

function hidden() {
  return 1;
}
";

pub const TYPESCRIPT: &str = "/** Adds. */
export function add(a: number, b: number): number {
  return a + b;
}

export const twice = (a: number): number => a * 2;

function hidden(): number {
  return 1;
}
";
