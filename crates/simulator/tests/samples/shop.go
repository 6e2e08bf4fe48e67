// Package shop is a sample.
package shop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Money is an amount in cents.
type Money int64

// Item is a thing in a cart.
type Item struct {
	Name     string `json:"name"`
	Price    Money
	Quantity int
}

// Cart holds items.
type Cart struct {
	Items    []Item
	Discount float64
	index    map[string]*Item
}

// Stack is a stack of anything.
type Stack[T any] struct {
	items []T
}

type cart struct {
	mu sync.Mutex
	n  int
}

// Number is any number.
type Number interface {
	~int | ~int64 | ~float64
}

// ErrEmpty says that there is nothing.
var ErrEmpty = errors.New("empty")

// Add adds.
func Add(a, b int) int { return a + b }

// Divide divides.
func Divide(a, b float64) (float64, error) {
	if b == 0 {
		return 0, fmt.Errorf("division of %v by zero", a)
	}
	return a / b, nil
}

// Greet greets { with a brace in the comment.
func Greet(name string) string {
	if name == "" {
		name = "stranger"
	}
	return "Hello, " + name + "!"
}

// Max gives the larger one.
func Max[T Number](a, b T) T {
	if a > b {
		return a
	}
	return b
}

// Map maps.
func Map[T, U any](xs []T, f func(T) U) []U {
	out := make([]U, 0, len(xs))
	for _, x := range xs {
		out = append(out, f(x))
	}
	return out
}

// Keys gives the keys.
func Keys[K comparable, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// Reverse reverses.
func Reverse(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

// IsEven tells.
func IsEven(n int) bool { return n%2 == 0 }

// Sum sums.
func Sum(xs ...int) (total int) {
	for _, x := range xs {
		total += x
	}
	return total
}

// Average averages.
func Average(xs []float64) (float64, error) {
	if len(xs) == 0 {
		return 0, ErrEmpty
	}
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs)), nil
}

// Clamp clamps.
func Clamp(x, low, high int) int {
	switch {
	case x < low:
		return low
	case x > high:
		return high
	}
	return x
}

// Now tells the time.
func Now() time.Time { return time.Now() }

// Serve never ends.
func Serve(address string, handler http.Handler) error {
	return http.ListenAndServe(address, handler)
}

// Parse parses.
func Parse(s string) (n int, err error) { return strconv.Atoi(strings.TrimSpace(s)) }

// WithContext waits for nothing.
func WithContext(ctx context.Context, d time.Duration, fns ...func() error) error {
	for _, fn := range fns {
		if err := fn(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Total sums the items up.
func (c *Cart) Total() Money {
	var total Money
	for _, item := range c.Items {
		total += item.Cost()
	}
	return total
}

// Cost is what an item costs.
func (i Item) Cost() Money { return i.Price * Money(i.Quantity) }

// Add puts an item in.
func (c *Cart) Add(item Item, more ...Item) {
	c.Items = append(append(c.Items, item), more...)
	c.index[item.Name] = &item
}

// Find finds an item.
func (c *Cart) Find(name string) (*Item, bool) {
	for i := range c.Items {
		if c.Items[i].Name == name {
			return &c.Items[i], true
		}
	}
	return nil, false
}

// NewCart makes a cart.
func NewCart() *Cart { return &Cart{index: map[string]*Item{}} }

// Double doubles.
func (m Money) Double() Money { return m * 2 }

// Push pushes.
func (s *Stack[T]) Push(item T) { s.items = append(s.items, item) }

// Len counts.
func (s *Stack[T]) Len() int { return len(s.items) }

// FizzBuzz counts as children do.
func FizzBuzz(n int) string {
	if n%15 == 0 {
		return "FizzBuzz"
	} else if n%3 == 0 {
		return "Fizz"
	} else if n%5 == 0 {
		return "Buzz"
	}
	return fmt.Sprintf("%d", n)
}

// Apply applies.
func Apply(f func(int, string) (bool, error), m map[string][]int) (ok bool) {
	ok, _ = f(len(m), "x")
	return !ok
}

// Explode panics.
func Explode(xs []int) int { return xs[10] }

// Upper shouts.
func Upper(s string) string { return strings.ToUpper(s) + "!" }

// Fields splits.
func Fields(s interface{ String() string }) []string { return strings.Fields(s.String()) }

func (c *cart) hidden() int { return c.n }

// Tags gives sorted tags.
func Tags(tags map[string]struct{}) []string {
	var out []string
	for tag := range tags {
		out = append(out, tag)
	}
	sort.Strings(out)
	return out
}

// Join joins.
func Join(words []string, separator string) string {
	out := ""
	for i, word := range words {
		if i > 0 {
			out += separator
		}
		out += word
	}
	return out
}
