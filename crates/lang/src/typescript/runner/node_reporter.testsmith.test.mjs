// Tests kept by testsmith. Blocks you edit or delete are yours.
import report from './node_reporter.mjs';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

// testsmith:begin report key=93b6f1e8 sum=86d29ef7
describe('report', () => {
  it('has the same outcome for the same input', async () => {
    const outcome = async () => {
      try {
        return String(JSON.stringify(await report([4, 6, 0])));
      } catch (error) {
        return `threw ${String(error)}`;
      }
    };
    assert.deepEqual(await outcome(), await outcome());
  });
});
// testsmith:end report
