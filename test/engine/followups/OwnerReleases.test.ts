import { assert } from 'chai';
import { OwnerReleases } from '../../../src/engine/followups/OwnerReleases';
import { newId } from '../../../src/engine/port/holder';

suite('While an owner gives a key back', () => {
    let releases: OwnerReleases;
    let told: string[];
    const id = newId('owner');

    setup(() => {
        told = [];
        releases = new OwnerReleases();
        releases.listen({
            over: (key, owner) => told.push(`over ${key} ${owner}`),
            failed: (key, owner) => told.push(`failed ${key} ${owner}`),
        });
        releases.begin('key', 'owner');
    });

    test('its next acquisition of the key waits', () => {
        assert.isTrue(releases.holdsUp({ key: 'key', id }));
    });

    test('nobody else waits, nor does it for another key', () => {
        assert.isFalse(releases.holdsUp({ key: 'key', id: newId('another') }));
        assert.isFalse(releases.holdsUp({ key: 'key', id: newId() }));
        assert.isFalse(releases.holdsUp({ key: 'another', id }));
    });

    test('the next one waits for the last of several releases, and is told of that one only', () => {
        releases.begin('key', 'owner');
        releases.end('key', 'owner');
        assert.isTrue(releases.holdsUp({ key: 'key', id }));
        assert.deepEqual(told, []);
        releases.end('key', 'owner');
        assert.isFalse(releases.holdsUp({ key: 'key', id }));
        assert.deepEqual(told, ['over key owner']);
    });
});
