/** A sample. */
export interface Item {
  name: string;
  price: number;
  quantity: number;
  tags?: string[];
}

export type Order = {
  items: Item[];
  discount: number;
};

export type Level = 'low' | 'high';

export abstract class Shape {
  constructor(protected readonly name: string) {}

  abstract area(): number;

  describe(): string {
    return `${this.name}: ${this.area()}`;
  }
}

export class Account {
  constructor(private balance: number, readonly owner: string) {}

  deposit(amount: number): number {
    if (amount <= 0) {
      throw new RangeError('amount must be positive');
    }
    this.balance += amount;
    return this.balance;
  }

  get label(): string {
    return `${this.owner}: ${this.balance}`;
  }

  static of(owner: string): Account {
    return new Account(0, owner);
  }

  async settle(rate: number): Promise<number> {
    return this.balance * rate;
  }
}

export class Point {
  constructor(private x: number, private y: number) {}

  dot(k: number): number {
    return this.x * k + this.y;
  }
}

export function total(order: Order): number {
  let sum = 0;
  for (const item of order.items) {
    sum += item.price * item.quantity;
  }
  return sum - order.discount;
}

export function cost(item: Item): number {
  return item.price * item.quantity;
}

export function first<T>(items: readonly T[], fallback?: T): T | undefined {
  return items.length > 0 ? items[0] : fallback;
}

export const groupBy = <T, K extends string>(items: T[], key: (item: T) => K): Record<K, T[]> => {
  const out = {} as Record<K, T[]>;
  for (const item of items) {
    (out[key(item)] ??= []).push(item);
  }
  return out;
};

export function threshold(level: Level): number {
  return level === 'low' ? 1 : 10;
}

export function parse(text: string): { ok: boolean; value: number } {
  const value = Number(text);
  return { ok: !Number.isNaN(value), value };
}

export function overloaded(x: number): number;
export function overloaded(x: string): string;
export function overloaded(x: number | string): number | string {
  return x;
}

export async function load(id: number, signal?: AbortSignal): Promise<string> {
  return `item ${id}`;
}

export function average(...values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export default class Registry {
  private readonly entries = new Map<string, number>();

  set(key: string, value: number): this {
    this.entries.set(key, value);
    return this;
  }

  get(key: string): number | undefined {
    return this.entries.get(key);
  }
}
