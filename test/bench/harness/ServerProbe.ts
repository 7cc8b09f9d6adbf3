import { Redis } from 'ioredis';
import type { RedisAddress } from '../../fixtures/sharedServer';
import { CommandCounter } from './CommandCounter';
import type { CommandCount } from './CommandCounter';

/** Asks a server what it costs, over a connection of its own. */
export class ServerProbe implements AsyncDisposable {
    private readonly _client: Redis;
    private _marks = 0;

    constructor(private readonly _address: RedisAddress) {
        const { host, port } = _address;
        this._client = new Redis({ host, port, protocol: 2 });
    }

    /** CPU time that the server has used so far, ms. */
    async cpu(): Promise<number> {
        const text = await this._client.info('cpu');
        return (field(text, 'used_cpu_user') + field(text, 'used_cpu_sys')) * 1000;
    }

    /** Memory of the keys of that pattern, bytes; of very many it is that of a thousand, multiplied. */
    async memory(pattern: string): Promise<number> {
        const keys: string[] = [];
        for await (const some of this._scan(pattern)) keys.push(...some);
        const sample = keys.slice(0, 1000);
        const sizes = await Promise.all(sample.map((key) => this._client.memory('USAGE', key, 'SAMPLES', 0)));
        const sum = sizes.reduce<number>((total, size) => total + (size ?? 0), 0);
        return (sum / sample.length) * keys.length;
    }

    /** How many keys there are. */
    keys(): Promise<number> {
        return this._client.dbsize();
    }

    /** Forgets every key; scripts stay. */
    async empty(): Promise<void> {
        await this._client.flushall('SYNC');
    }

    /** Forgets the keys of that pattern. */
    async forget(pattern: string): Promise<void> {
        for await (const keys of this._scan(pattern)) {
            if (keys.length > 0) await this._client.unlink(...keys);
        }
    }

    /** How many commands the server gets while `run` runs. It slows down the server: never while time is measured. */
    async count(run: () => Promise<unknown>): Promise<CommandCount> {
        const mark = `mark:${(this._marks += 1)}`;
        const counter = await CommandCounter.start(this._address, mark);
        await run();
        await this._client.echo(mark);
        return counter.marked;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this._client.quit().catch(() => this._client.disconnect());
    }

    private _scan(pattern: string): AsyncIterable<string[]> {
        return this._client.scanStream({ match: pattern, count: 1000 }) as AsyncIterable<string[]>;
    }
}

function field(info: string, name: string): number {
    return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? NaN);
}
