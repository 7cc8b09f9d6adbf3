import { assert } from 'chai';
import { newId, nameOf } from '../../../src/engine/port/holder';
import { attemptIdOf, idOf, nodeIdOf, publicHolder, publicName, readStored } from '../../../src/engine/quorum/names';

suite('The names of an acquisition at its nodes', () => {
    for (const chosen of [undefined, 'job', 'two words', 'a:1:b', 'владелец']) {
        test(`tell its attempts, its holder and itself apart: ${chosen ?? 'an id of our own'}`, () => {
            const id = newId(chosen);
            const nodeId = nodeIdOf(id);
            assert.strictEqual(idOf(nodeId), id);
            const attempt = attemptIdOf(nodeId, 12);
            const value = `${attempt}345`;
            assert.deepEqual(readStored(value), { attempt, name: nodeId.slice(0, -1), chosen, fence: 345 });
            assert.strictEqual(publicHolder(value), chosen ?? value);
            assert.strictEqual(publicName(nodeId.slice(0, -1)), chosen ?? nameOf(id));
        });
    }

    test('are none of what a stranger stores', () => {
        for (const value of ['stranger', 'a#b', 'a#1:2', '', 'host:1:2:3']) {
            assert.isUndefined(readStored(value), value);
            assert.strictEqual(publicHolder(value), value);
        }
    });

    test('of a hand-off that is not claimed yet have no attempt', () => {
        const id = newId();
        assert.deepInclude(readStored(`${id}7`), { attempt: id, name: nameOf(id), fence: 7 });
    });
});
