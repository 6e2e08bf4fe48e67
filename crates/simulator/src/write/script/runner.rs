//! What differs between the test runners.

/// A runner, with the assertions used with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Vitest,
    Jest,
    Mocha,
    MochaChai,
    Node,
}

impl Runner {
    /// The runner of a framework's name; jest's interface for an unknown one.
    pub(super) fn of(framework: &str) -> Self {
        match framework {
            "vitest" => Self::Vitest,
            "mocha" => Self::Mocha,
            "node" | "node:test" => Self::Node,
            name if name.contains("chai") => Self::MochaChai,
            _ => Self::Jest,
        }
    }

    /// The imports of a test file.
    pub(super) fn imports(self, common_js: bool) -> Vec<String> {
        let named = |names: &str, from: &str| {
            if common_js {
                format!("const {{ {names} }} = require('{from}');")
            } else {
                format!("import {{ {names} }} from '{from}';")
            }
        };
        let assert = if common_js {
            "const assert = require('node:assert/strict');".to_owned()
        } else {
            "import assert from 'node:assert/strict';".to_owned()
        };
        match self {
            Self::Vitest => vec![named("describe, expect, it", "vitest")],
            // In CommonJS jest's functions are global, and vitest's way is not open.
            Self::Jest if common_js => Vec::new(),
            Self::Jest => vec![named("describe, expect, it", "@jest/globals")],
            Self::Mocha => vec![assert],
            Self::MochaChai => vec![named("expect", "chai")],
            Self::Node => vec![assert, named("describe, it", "node:test")],
        }
    }

    /// That two values are equal in depth.
    pub(super) fn equal(self, got: &str, want: &str) -> String {
        match self {
            Self::Vitest | Self::Jest => format!("expect({got}).toEqual({want});"),
            Self::MochaChai => format!("expect({got}).to.deep.equal({want});"),
            Self::Mocha | Self::Node => format!("assert.deepEqual({got}, {want});"),
        }
    }

    /// That a call throws.
    pub(super) fn throws(self, call: &str) -> String {
        match self {
            Self::Vitest | Self::Jest => format!("expect(() => {call}).toThrow();"),
            Self::MochaChai => format!("expect(() => {call}).to.throw();"),
            Self::Mocha | Self::Node => format!("assert.throws(() => {call});"),
        }
    }
}
