//! A generated Go project: as many files and functions as wanted, each function different.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// Writes a Go module of `files` files with `functions` public functions each.
pub fn write(root: &Path, files: usize, functions: usize) -> io::Result<()> {
    fs::write(root.join("go.mod"), "module example.com/shop\n\ngo 1.19\n")?;
    for file in 0..files {
        fs::write(root.join(name(file)), source(file, functions))?;
    }
    Ok(())
}

/// The name of a file.
pub fn name(file: usize) -> String {
    format!("part{file:02}.go")
}

/// The text of a file.
pub fn source(file: usize, functions: usize) -> String {
    let mut text = String::from("package shop\n");
    for function in 0..functions {
        let name = format!("Part{file:02}Step{function}");
        let (factor, offset) = (file + 2, function * 7 + 1);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n// {name} weighs a price against a discount.\n\
             func {name}(price, discount int) int {{\n\
             \treturn price*{factor} - discount + {offset}\n\
             }}\n"
        );
    }
    text
}
