import { assert } from 'chai';
import { acquireScript } from '../../../../src/engine/redis/scripts/acquire';
import { releaseScript } from '../../../../src/engine/redis/scripts/release';
import type { Script } from '../../../../src/engine/redis/scripts/Script';
import { WHOLE } from '../../../../src/engine/redis/servers/keyspace';
import { Lanes } from '../../../../src/engine/redis/servers/Lanes';
import type { Command } from '../../../../src/engine/redis/servers/RedisServers';

suite('Lanes', () => {
    /** The keys of each list that was sent. */
    let sent: string[][];
    let underWay: number;
    let lanes: Lanes;

    setup(() => {
        sent = [];
        underWay = 0;
        const calls = {
            get underWay() {
                return underWay;
            },
            send: (_: Script<unknown>, commands: readonly Command<unknown>[]) => {
                sent.push(commands.map(({ key }) => key));
                underWay += commands.length;
            },
        };
        lanes = new Lanes(calls, () => WHOLE);
    });

    /** Asks for a number of keys in this turn. */
    function add(count: number, script: Script<unknown> = acquireScript): void {
        for (let at = 0; at < count; at++) {
            const key = `key ${at}`;
            lanes.add({ script, key, keys: [key] } as unknown as Command<unknown>);
        }
    }

    /** The lists that were sent since it was last asked, by their lengths. */
    function lengths(): number[] {
        return sent.splice(0).map(({ length }) => length);
    }

    /** A number of commands have their answer. */
    function answer(count: number): void {
        underWay -= count;
        lanes.answered();
    }

    function endOfTurn(): Promise<void> {
        return new Promise((resolve) => setImmediate(resolve));
    }

    /** A number of commands are sent, and answered in the turn that begins now. */
    async function cycle(count: number): Promise<void> {
        add(count);
        await endOfTurn();
        answer(count);
        sent = [];
    }

    test('make one list of a turn', async () => {
        add(10);
        assert.deepEqual(lengths(), []);
        await endOfTurn();
        assert.deepEqual(lengths(), [10]);
    });

    test('make lists of 32 of a turn that has more', async () => {
        add(70);
        await endOfTurn();
        assert.deepEqual(lengths(), [32, 32, 6]);
    });

    test('send half of what is usually under way before a turn is over in which callers are answered', async () => {
        await cycle(10);
        add(4);
        assert.deepEqual(lengths(), []);
        add(1);
        assert.deepEqual(lengths(), [5]);
        add(2);
        assert.deepEqual(lengths(), []);
        await endOfTurn();
        assert.deepEqual(lengths(), [2]);
        add(10);
        assert.deepEqual(lengths(), []);
        await endOfTurn();
        assert.deepEqual(lengths(), [10]);
    });

    test('send the first command of a caller that is alone at once when it is answered', async () => {
        await cycle(1);
        add(1);
        assert.deepEqual(lengths(), [1]);
    });

    test('make no list of more than 32 while callers are answered', async () => {
        await cycle(1000);
        add(40);
        assert.deepEqual(lengths(), [32]);
        await endOfTurn();
        assert.deepEqual(lengths(), [8]);
    });

    test('forget after a while how much was under way', async () => {
        await cycle(100);
        for (let at = 0; at < 100; at++) await cycle(1);
        add(1);
        assert.deepEqual(lengths(), [1]);
    });

    test('send what releases before what acquires', async () => {
        const scripts: Script<unknown>[] = [];
        const calls = { underWay: 0, send: (script: Script<unknown>) => void scripts.push(script) };
        lanes = new Lanes(calls, () => WHOLE);
        add(1);
        add(1, releaseScript);
        await endOfTurn();
        assert.deepEqual(scripts, [releaseScript, acquireScript]);
    });
});
