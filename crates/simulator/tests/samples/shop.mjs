// A sample.
import { readFile } from 'node:fs/promises';

const RATE = 0.5;

/** A thing in a cart. */
export class Item {
  #secret = 1;

  constructor(name, price, quantity) {
    this.name = name;
    this.price = price;
    this.quantity = quantity;
  }

  cost() {
    return this.price * this.quantity;
  }

  get title() {
    return `${this.name}!`;
  }

  static parse(text) {
    const [name, price] = text.split('=');
    return new Item(name, Number(price), 1);
  }

  label = (prefix) => prefix + this.name;

  async load(path) {
    return await readFile(path, 'utf8');
  }

  secret() {
    return this.#secret;
  }
}

export class Cart {
  items = [];

  add(item) {
    this.items.push(item);
    return this;
  }

  total() {
    return this.items.reduce((sum, item) => sum + item.cost(), 0);
  }
}

export function add(a, b) {
  return a + b;
}

export const subtract = (a, b) => a - b;

/**
 * @param {string} name
 * @param {string} [greeting]
 */
export function greet(name, greeting = 'Hello') {
  if (name === '') {
    name = 'stranger';
  }
  return `${greeting}, ${name}`;
}

export function clamp(x, low, high) {
  if (low > high) {
    throw new RangeError('low > high');
  }
  return Math.max(low, Math.min(x, high));
}

export function sum(numbers) {
  let total = 0;
  for (const n of numbers) {
    total += n;
  }
  return total;
}

export function sumTo(n) {
  let total = 0;
  for (let i = 1; i <= n; i++) total += i;
  return total;
}

export const double = (xs) => xs.map((x) => x * 2);

export async function later(x) {
  return x * 2;
}

export async function fails(text) {
  throw new Error(text);
}

export function* count(limit) {
  for (let i = 0; i < limit; i++) {
    yield i;
  }
}

export function isEven(n) {
  return n % 2 === 0;
}

export function slug(text) {
  return text.trim().toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

export function tax(price, options = {}) {
  const { rate = RATE } = options;
  return price * rate;
}

export function pick({ a, b }, ...rest) {
  return [a, b, ...rest];
}

export function roll() {
  return Math.floor(Math.random() * 6) + 1;
}

export function forever() {
  setInterval(() => {}, 1000);
}

export function nothing() {}

function inner(text) {
  return text.toUpperCase();
}

export { inner as shout };

export default function main(args) {
  return args.length;
}
