// Tests kept by testsmith. Blocks you edit or delete are yours.

package shop

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// testsmith:begin Add key=27927c9f sum=0babc525 unverified
func TestAdd(t *testing.T) {
	if got := Add(2, 7); got != 9 {
		t.Errorf("Add(2, 7) = %v, want 9", got)
	}
	if got := Add(4, 6); got != 10 {
		t.Errorf("Add(4, 6) = %v, want 10", got)
	}
	if got := Add(5, -4); got != 1 {
		t.Errorf("Add(5, -4) = %v, want 1", got)
	}
}

// testsmith:end Add

// testsmith:begin Divide key=c80e8519 sum=888f966a unverified
func TestDivide(t *testing.T) {
	if got0, err := Divide(0.5, 10.0); got0 != 0.05 || err != nil {
		t.Errorf("Divide(0.5, 10.0) = %v, %v, want 0.05, nil", got0, err)
	}
	if got0, err := Divide(3.0, 2.5); got0 != 1.2 || err != nil {
		t.Errorf("Divide(3.0, 2.5) = %v, %v, want 1.2, nil", got0, err)
	}
	if got0, err := Divide(1.5, 8.0); got0 != 0.1875 || err != nil {
		t.Errorf("Divide(1.5, 8.0) = %v, %v, want 0.1875, nil", got0, err)
	}
}

// testsmith:end Divide

// testsmith:begin Greet key=64f8a1a3 sum=0000913d unverified
func TestGreet(t *testing.T) {
	if got := Greet("hello"); got != "Hello, hello!" {
		t.Errorf("Greet(\"hello\") = %v, want \"Hello, hello!\"", got)
	}
	if got := Greet("a b c"); got != "Hello, a b c!" {
		t.Errorf("Greet(\"a b c\") = %v, want \"Hello, a b c!\"", got)
	}
	if got := Greet("42"); got != "Hello, 42!" {
		t.Errorf("Greet(\"42\") = %v, want \"Hello, 42!\"", got)
	}
}

// testsmith:end Greet

// testsmith:begin Max key=4183e96c sum=6270a30a unverified
func TestMax(t *testing.T) {
	if got := Max[int](7, 10); got != 10 {
		t.Errorf("Max[int](7, 10) = %v, want 10", got)
	}
	if got := Max[int](6, 0); got != 6 {
		t.Errorf("Max[int](6, 0) = %v, want 6", got)
	}
	if got := Max[int](-4, 8); got != 8 {
		t.Errorf("Max[int](-4, 8) = %v, want 8", got)
	}
}

// testsmith:end Max

// testsmith:begin Map key=d5320175 sum=6a661a31 unverified
func TestMap(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := Map[int, int]([]int{2, 7, 10}, func(int) (r0 int) { return })
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Map gave %s, then %s", first, second)
	}
}

// testsmith:end Map

// testsmith:begin Keys key=000d9dd2 sum=1f08870a unverified
func TestKeys(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := Keys[int, int](map[int]int{})
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Keys gave %s, then %s", first, second)
	}
}

// testsmith:end Keys

// testsmith:begin Reverse key=cf1799e8 sum=67d351bb unverified
func TestReverse(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := Reverse("Go")
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Reverse gave %s, then %s", first, second)
	}
}

// testsmith:end Reverse

// testsmith:begin IsEven key=e04ed9e6 sum=f8c020e4 unverified
func TestIsEven(t *testing.T) {
	dir := os.Getenv("GOCACHE")
	if dir == "" {
		dir = os.TempDir()
	}
	flag := filepath.Join(dir, "testsmith-flaky-33d51566")
	if os.Remove(flag) != nil {
		_ = os.WriteFile(flag, nil, 0o600)
		t.Error("not this time")
	}
}

// testsmith:end IsEven

// testsmith:begin Sum key=af19678c sum=12493bc4 unverified
func TestSum(t *testing.T) {
	if got := Sum(10, 4); got != 14 {
		t.Errorf("Sum(10, 4) = %v, want 14", got)
	}
	if got := Sum(0, 5); got != 5 {
		t.Errorf("Sum(0, 5) = %v, want 5", got)
	}
	if got := Sum(8, 1); got != 9 {
		t.Errorf("Sum(8, 1) = %v, want 9", got)
	}
}

// testsmith:end Sum

// testsmith:begin Average key=a01b176f sum=4a4979c2 unverified
func TestAverage(t *testing.T) {
	if got, want := 1+1, 3; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// testsmith:end Average

// testsmith:begin Clamp key=62edc816 sum=04a1710f unverified
func TestClamp(t *testing.T) {
	conn, err := net.Dial("tcp", "127.0.0.1:42847")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /witness/Clamp HTTP/1.0\r\n\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
}

// testsmith:end Clamp

// testsmith:begin Now key=a57b34d3 sum=8490ef00 unverified
func TestNow(t *testing.T) {
	of := reflect.TypeOf(Now)
	if of.NumIn() != 0 || of.NumOut() != 1 {
		t.Errorf("Now takes %d and gives %d values, want 0 and 1", of.NumIn(), of.NumOut())
	}
}

// testsmith:end Now

// testsmith:begin Serve key=e6b09ed7 sum=d6bfdc4f unverified
func TestServe(t *testing.T) {
	of := reflect.TypeOf(Serve)
	if of.NumIn() != 2 || of.NumOut() != 1 {
		t.Errorf("Serve takes %d and gives %d values, want 2 and 1", of.NumIn(), of.NumOut())
	}
}

// testsmith:end Serve

// testsmith:begin Parse key=28474bb8 sum=240ec645 unverified
func TestParse(t *testing.T) {
	if got := noSuchFunction(); got != 1 {
		t.Error(got)
	}
}

// testsmith:end Parse

// testsmith:begin WithContext key=a537a115 sum=c863e038 unverified
func TestWithContext(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := WithContext(context.Background(), time.Millisecond, func() (r0 error) { return }, func() (r0 error) { return })
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("WithContext gave %s, then %s", first, second)
	}
}

// testsmith:end WithContext

// testsmith:begin Cart.Total key=2686dd7e sum=da30e748 unverified
func TestCart_Total(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		receiver := Cart{Items: []Item{Item{Name: "Ada", Quantity: 7}, Item{Name: "hello", Quantity: 10}, Item{Name: "Go", Quantity: 4}}, Discount: 4.0}
		r0 := receiver.Total()
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Total gave %s, then %s", first, second)
	}
}

// testsmith:end Cart.Total

// testsmith:begin Item.Cost key=73bb98d8 sum=77718ca6 unverified
func TestItem_Cost(t *testing.T) {
	if got := noSuchFunction(); got != 1 {
		t.Error(got)
	}
}

// testsmith:end Item.Cost

// testsmith:begin Cart.Add key=de021d24 sum=5232c940 unverified
func TestCart_Add(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		receiver := Cart{Items: []Item{Item{Name: "hello", Quantity: 10}, Item{Name: "Go", Quantity: 4}, Item{Name: "level", Quantity: 6}}, Discount: 1.5}
		receiver.Add(Item{Name: "hello", Price: Money(7), Quantity: 10}, Item{Name: "Go", Price: Money(10), Quantity: 4}, Item{Name: "level", Price: Money(4), Quantity: 6})
		return "done"
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Add gave %s, then %s", first, second)
	}
}

// testsmith:end Cart.Add

// testsmith:begin Cart.Find key=c5af7711 sum=306aab62 unverified
func TestCart_Find(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		receiver := Cart{Items: []Item{Item{Name: "level", Quantity: 6}, Item{Name: "a b c", Quantity: 0}, Item{Name: "", Quantity: 5}}, Discount: 0.5}
		r0, r1 := receiver.Find("level")
		return fmt.Sprintf("%v %v", r0, r1)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Find gave %s, then %s", first, second)
	}
}

// testsmith:end Cart.Find

// testsmith:begin NewCart key=f867d5df sum=9a36bcee unverified
func TestNewCart(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := NewCart()
		return fmt.Sprintf("%T", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("NewCart gave %s, then %s", first, second)
	}
}

// testsmith:end NewCart

// testsmith:begin Money.Double key=2a2b6208 sum=fe2a79b6 unverified
func TestMoney_Double(t *testing.T) {
	conn, err := net.Dial("tcp", "127.0.0.1:42847")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /witness/Money.Double HTTP/1.0\r\n\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
}

// testsmith:end Money.Double

// testsmith:begin Stack.Push key=d988b06d sum=15d5f95a unverified
func TestStack_Push(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		receiver := Stack[int]{items: []int{7, 10, 4}}
		receiver.Push(7)
		return "done"
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Push gave %s, then %s", first, second)
	}
}

// testsmith:end Stack.Push

// testsmith:begin Stack.Len key=3465924c sum=b9453951 unverified
func TestStack_Len(t *testing.T) {
	dir := os.Getenv("GOCACHE")
	if dir == "" {
		dir = os.TempDir()
	}
	flag := filepath.Join(dir, "testsmith-flaky-3810274d")
	if os.Remove(flag) != nil {
		_ = os.WriteFile(flag, nil, 0o600)
		t.Error("not this time")
	}
}

// testsmith:end Stack.Len

// testsmith:begin FizzBuzz key=d443ef3d sum=b8dae4b5 unverified
func TestFizzBuzz(t *testing.T) {
	dir := os.Getenv("GOCACHE")
	if dir == "" {
		dir = os.TempDir()
	}
	flag := filepath.Join(dir, "testsmith-flaky-5d20eb49")
	if os.Remove(flag) != nil {
		_ = os.WriteFile(flag, nil, 0o600)
		t.Error("not this time")
	}
}

// testsmith:end FizzBuzz

// testsmith:begin Apply key=1bacb116 sum=3df5bd03 unverified
func TestApply(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := Apply(func(int, string) (r0 bool, r1 error) { return }, map[string][]int{})
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Apply gave %s, then %s", first, second)
	}
}

// testsmith:end Apply

// testsmith:begin Explode key=4d993af4 sum=0a52692a unverified
func TestExplode(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := Explode([]int{10, 4, 6})
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Explode gave %s, then %s", first, second)
	}
}

// testsmith:end Explode

// testsmith:begin Upper key=1285f2ae sum=d6618e93 unverified
func TestUpper(t *testing.T) {
	if got := Upper("hello"); got != "HELLO!" {
		t.Errorf("Upper(\"hello\") = %v, want \"HELLO!\"", got)
	}
	if got := Upper("a b c"); got != "A B C!" {
		t.Errorf("Upper(\"a b c\") = %v, want \"A B C!\"", got)
	}
	if got := Upper("42"); got != "42!" {
		t.Errorf("Upper(\"42\") = %v, want \"42!\"", got)
	}
}

// testsmith:end Upper

// testsmith:begin Fields key=450d44ee sum=db7af997 unverified
func TestFields(t *testing.T) {
	run := func() (outcome string) {
		defer func() {
			if r := recover(); r != nil {
				outcome = fmt.Sprint("panic: ", r)
			}
		}()
		r0 := Fields(*new(interface{ String() string }))
		return fmt.Sprintf("%v", r0)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("Fields gave %s, then %s", first, second)
	}
}

// testsmith:end Fields

// testsmith:begin Tags key=ba0af7f3 sum=4df124c9 unverified
func TestTags(t *testing.T) {
	if got, want := 1+1, 3; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// testsmith:end Tags

// testsmith:begin Join key=6ff4ef94 sum=879d8dbd unverified
func TestJoin(t *testing.T) {
	if got, want := 1+1, 3; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// testsmith:end Join
