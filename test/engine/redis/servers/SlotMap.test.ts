import { assert } from 'chai';
import { SLOTS, slotOf } from '../../../../src/engine/redis/slots';
import { SlotMap, addressOf, nameOf, readSlots } from '../../../../src/engine/redis/servers/SlotMap';
import { LockError } from '../../../../src';

const HALF = SLOTS / 2;

suite('SlotMap', () => {
    function read(...ranges: readonly unknown[]): (string | undefined)[] {
        return readSlots(ranges, 'asked');
    }

    test('reads the master of each slot, which the server names first', () => {
        const masters = read([0, HALF - 1, ['a', 7000], ['replica', 7003]], [HALF, SLOTS - 1, ['b', 7001]]);
        assert.lengthOf(masters, SLOTS);
        assert.deepEqual(
            [masters[0], masters[HALF - 1], masters[HALF], masters.at(-1)],
            ['a:7000', 'a:7000', 'b:7001', 'b:7001'],
        );
    });

    test('takes a master without a host for the host that was asked', () => {
        assert.deepEqual(
            [null, '', '?'].map((host) => read([0, SLOTS - 1, [host, 7000]])[5]),
            ['asked:7000', 'asked:7000', 'asked:7000'],
        );
    });

    test('leaves slots without a master, but refuses an answer that has none at all', () => {
        assert.isUndefined(read([0, 10, ['a', 7000]])[11]);
        for (const nothing of [[], null, 'OK'])
            assert.throws(() => readSlots(nothing, 'asked'), LockError, /asked knows no slots/);
    });

    test('has no master before it has read one', () => {
        const slots = new SlotMap();
        assert.deepEqual(slots.masters, []);
        assert.isUndefined(slots.masterOf(7));
        assert.isUndefined(slots.tagOf('a:7000'));
    });

    test('finds a hash tag for each master, and none for others', () => {
        const slots = new SlotMap();
        slots.replace(read([0, HALF - 1, ['a', 7000]], [HALF, SLOTS - 1, ['b', 7001]]));
        assert.sameMembers(slots.masters, ['a:7000', 'b:7001']);
        for (const name of ['a:7000', 'b:7001']) {
            assert.strictEqual(slots.masterOf(slotOf(slots.tagOf(name) ?? '')), name);
        }
        assert.isUndefined(slots.tagOf('c:7002'));
    });

    test('says whether a slot has another master than before', () => {
        const slots = new SlotMap();
        const before = read([0, SLOTS - 1, ['a', 7000]]);
        assert.isFalse(slots.replace(before));
        assert.isFalse(slots.replace(before));
        assert.isFalse(slots.move(5, 'a:7000'));
        assert.isTrue(slots.move(5, 'b:7001'));
        assert.isTrue(slots.isMaster('b:7001'));
        assert.isTrue(slots.replace(before));
        assert.isFalse(slots.isMaster('b:7001'));
    });

    test('names an address, and finds it by its name, also of IPv6', () => {
        for (const address of [
            { host: 'localhost', port: 7000 },
            { host: '::1', port: 7001 },
        ])
            assert.deepEqual(addressOf(nameOf(address)), address);
    });
});
