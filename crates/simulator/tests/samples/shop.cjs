'use strict';

class Stack {
  constructor() {
    this.items = [];
  }

  push(item) {
    this.items.push(item);
    return this.items.length;
  }

  size() {
    return this.items.length;
  }
}

function area(width, height) {
  if (width < 0 || height < 0) {
    throw new RangeError('negative');
  }
  return width * height;
}

const initials = (name) =>
  name
    .split(' ')
    .map((word) => word[0])
    .join('');

function negate(x) {
  return -x;
}

exports.half = function (x) {
  return x / 2;
};

module.exports = Object.assign(exports, { Stack, area, initials });
module.exports.negate = negate;
