import { createHash } from 'node:crypto';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { connect, disconnect } from './client';
import { TTL } from './Contestant';
import type { Contestant, Held, Locking } from './Contestant';

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;
const RELEASE_SHA = createHash('sha1').update(RELEASE).digest('hex');

/** The floor: the two commands that every lock needs, and nothing around them. */
export const raw: Contestant = {
    name: 'raw ioredis',
    does: 'SET NX PX, then EVALSHA of compare-and-delete. No queue, fence, renewal or deadline. The baseline',
    waits: false,
    open: ([server]) => RawLocking.open(server, false),
};

export const rawPipelining: Contestant = {
    name: 'raw ioredis, auto-pipelining',
    does: 'the same with enableAutoPipelining',
    waits: false,
    open: ([server]) => RawLocking.open(server, true),
};

class RawLocking implements Locking {
    private _count = 0;

    private constructor(private readonly _client: Awaited<ReturnType<typeof connect>>) {}

    static async open(server: RedisAddress, enableAutoPipelining: boolean): Promise<Locking> {
        const client = await connect(server, enableAutoPipelining);
        await client.script('LOAD', RELEASE);
        return new RawLocking(client);
    }

    async acquire(key: string): Promise<Held> {
        const holder = `${process.pid}:${(this._count += 1)}`;
        const answer = await this._client.set(key, holder, 'PX', TTL, 'NX');
        if (answer !== 'OK') throw new Error(`${key} is busy, and the baseline does not wait`);
        return { release: () => this._client.evalsha(RELEASE_SHA, 1, key, holder) };
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await disconnect([this._client]);
    }
}
