import { assert } from 'chai';
import fc from 'fast-check';
import { RecycledMap } from '../../../src/engine/collections/RecycledMap';

suite('RecycledMap', () => {
    test('has what a Map has, in the same order, whatever came and went', () => {
        const move = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 }));
        const moves = fc.array(move, { minLength: 500, maxLength: 1000 });
        fc.assert(
            fc.property(moves, (list) => {
                const registry = new RecycledMap<number>();
                const map = new Map<string, number>();
                for (const [comes, number] of list) {
                    const id = String(number);
                    if (comes) {
                        registry.set(id, number);
                        map.set(id, number);
                    } else {
                        registry.delete(id);
                        map.delete(id);
                    }
                    assert.strictEqual(registry.size, map.size);
                    assert.strictEqual(registry.get(id), map.get(id));
                }
                assert.deepEqual(registry.items(), [...map.values()]);
            }),
        );
    });
});
