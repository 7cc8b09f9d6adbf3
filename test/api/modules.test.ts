import { assert } from 'chai';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const SRC = join(__dirname, '..', '..', 'src');

suite('Every module of src', () => {
    // Coverage counts what was loaded: this way a module without a test of its own counts as well.
    for (const file of readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))) {
        test(`loads: ${file}`, () => {
            assert.isObject(require(join(SRC, file)));
        });
    }
});
