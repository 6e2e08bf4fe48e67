//! The sample project, and saving files as an editor does.

use std::fs;
use std::io;
use std::path::Path;

/// A type with methods, and a function.
pub(super) const CART: &str = r"// Package shop is a sample.
package shop

// Cart holds the prices of what is to be bought, in cents.
type Cart struct {
	Prices []int
}

// Add puts one more price into the cart.
func (c *Cart) Add(price int) {
	c.Prices = append(c.Prices, price)
}

// Total is the sum of all prices.
func (c *Cart) Total() int {
	sum := 0
	for _, price := range c.Prices {
		sum += price
	}
	return sum
}

// Discounted takes a share, in percent, off a price.
func Discounted(price, percent int) int {
	return price - price*percent/100
}
";

pub(super) const TEXT: &str = r#"package shop

import "strings"

// Label writes a name and its unit.
func Label(name, unit string) string {
	return name + " (" + unit + ")"
}

// Shout is for sales.
func Shout(text string) string {
	return strings.ToUpper(text) + "!"
}

// Width is the room a label takes.
func Width(label string) int {
	return len(label) + 2
}
"#;

pub(super) const PRICE: &str = r"package shop

// Gross adds the tax, in percent.
func Gross(net, tax int) int {
	return net + net*tax/100
}

// Cheaper tells whether a is the better price.
func Cheaper(a, b int) bool {
	return a < b
}
";

pub(super) const STOCK: &str = r"package shop

// Restock adds what was delivered.
func Restock(have, delivered int) int {
	return have + delivered
}

// Reserve takes what is wanted, and no more than there is.
func Reserve(have, wanted int) int {
	if wanted > have {
		return have
	}
	return wanted
}

// Short tells how much is missing.
func Short(have, wanted int) int {
	return wanted - have
}
";

pub(super) fn write_module(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    fs::write(root.join("go.mod"), "module example.com/shop\n\ngo 1.19\n")
}

/// The same tokens, laid out otherwise.
pub(super) fn reformatted(text: &str) -> String {
    text.replace("sum := 0\n", "sum  :=  0\n\n")
        .replace("price*percent/100", "price * percent / 100")
}

/// One function does something else.
pub(super) fn edited(text: &str) -> String {
    text.replace("price - price*percent/100", "price - price*(percent+1)/100")
}

/// As careful editors save: a new file, renamed over the old one.
pub(super) fn save(root: &Path, name: &str, text: &str) -> io::Result<()> {
    let temporary = root.join(format!(".{name}.swp"));
    fs::write(&temporary, text)?;
    fs::rename(temporary, root.join(name))
}
