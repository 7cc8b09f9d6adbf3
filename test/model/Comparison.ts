import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { acquireScript } from '../../src/engine/redis/scripts/acquire';
import { inspectScript } from '../../src/engine/redis/scripts/inspect';
import { releaseScript } from '../../src/engine/redis/scripts/release';
import { renewScript } from '../../src/engine/redis/scripts/renew';
import { ScriptError } from '../../src/engine/redis/scripts/Script';
import type { Script, ScriptItem } from '../../src/engine/redis/scripts/Script';
import { keysOf } from '../../src/engine/redis/slots';
import type { LockKeys } from '../../src/engine/redis/slots';
import type { Ear, Heard } from './Ear';
import { ScriptModel } from './ScriptModel';
import type { AcquireCommand, ReleaseCommand } from './ScriptModel';

/** Stands for a value of the wrong type. */
const LIST = '(list)';

/** The keys of a lock as Redis has them, but for their expiry. */
interface Content {
    readonly key: string | null;
    readonly queue: readonly string[];
    readonly waiters: Readonly<Record<string, string>>;
    readonly memory: Readonly<Record<string, string>>;
}

/** What one step is asked for. */
interface Asked extends ScriptItem {
    readonly common?: readonly string[];
}

/** What one step did. */
interface Effect {
    readonly answer: unknown;
    readonly messages: readonly Heard[];
    readonly stored: Content;
}

/**
 * One lock twice: on a server, and as a model. Each step is taken on both and everything it did is compared.
 *
 * The server's clock is its own, so the model is run with every reading that the step may have had: between one before and
 * one after it, those that the effect itself tells. With one of them all must be equal, to the last digit; only what is
 * computed from the expiry of the key (which is known to ms) may differ by the time that steps took.
 */
export class Comparison {
    steps = 0;
    private _model: ScriptModel;
    private _slack = 2;
    private readonly _keys: LockKeys;

    constructor(
        private readonly _client: Redis,
        private readonly _ear: Ear,
        name: string,
    ) {
        this._keys = keysOf(name);
        this._model = new ScriptModel(name);
    }

    /** The last ticket of an acquisition that waits, else 0. */
    ticketOf(id: string): number {
        return this._model.queue.value.find((place) => place.id === id)?.ticket ?? 0;
    }

    async acquire(step: AcquireCommand): Promise<void> {
        const { holder, id, ttl, spare, wait } = step;
        const before = wait?.before === undefined ? '' : ` ${wait.before}`;
        const asked = wait === undefined ? '' : `${wait.ticket}${before}`;
        const args = [holder, id === holder ? '' : id, askedFor(ttl, spare), asked];
        await this._compare(acquireScript, { keys: this._keys, args, common: [wait?.channel ?? ''] }, (model) =>
            model.acquire(step),
        );
    }

    async release(step: ReleaseCommand): Promise<void> {
        const { holder, id, tombstone, yields } = step;
        const rule = yields === undefined ? '' : `${yields.after} ${yields.pause}`;
        const args = [holder, id === '' ? '' : `${tombstone ? 1 : 0} ${id}`];
        await this._compare(releaseScript, { keys: this._keys, args, common: [rule] }, (model) => model.release(step));
    }

    async renew(step: { readonly holder: string; readonly ttl: number }): Promise<void> {
        const [key, , , memory] = this._keys;
        const args = [step.holder, String(step.ttl)];
        await this._compare(renewScript, { keys: [key, memory], args }, (model) => model.renew(step));
    }

    async inspect(): Promise<void> {
        await this._compare(inspectScript, { keys: this._keys, args: [] }, (model) => model.inspect());
    }

    async listen(channel: string, on: boolean): Promise<void> {
        await this._ear.listen(channel, on);
        const others = this._model.channels.filter((one) => one !== channel);
        this._model.channels = on ? [...others, channel] : others;
    }

    /** An outsider sets the key: only if it is free, as other editions do, or whatever it is. */
    async set(value: string, ttl: number, always: boolean): Promise<void> {
        const [key] = this._keys;
        const isFree = this._model.key === undefined;
        const now = await this._now();
        if (always) await this._client.set(key, value);
        else await this._client.set(key, value, 'PX', ttl, 'NX');
        if (always) this._model.key = { value, expires: Infinity };
        else if (isFree) this._model.key = { value, expires: now / 1000 + ttl };
        this._slack += ((await this._now()) - now) / 1000 + 1;
    }

    /** An outsider puts something else there. */
    async setList(): Promise<void> {
        const [key] = this._keys;
        await this._client.del(key);
        await this._client.rpush(key, 'element');
        this._model.key = { value: LIST, expires: Infinity };
    }

    /** Some keys are deleted, or all. */
    async lose(what: 'key' | 'queue' | 'waiters' | 'memory' | 'all'): Promise<void> {
        const model = this._model;
        const [key, queue, waiters, memory] = this._keys;
        const names = { key, queue, waiters, memory };
        await (what === 'all' ? this._client.del(...this._keys) : this._client.del(names[what]));
        if (what === 'key' || what === 'all') model.key = undefined;
        if (what === 'queue' || what === 'all') model.queue = { value: [], expires: Infinity };
        if (what === 'waiters' || what === 'all') model.waiters = { value: [], expires: Infinity };
        if (what === 'memory' || what === 'all') model.memory = undefined;
    }

    /** Time passes: the leases of waiters run out, tombstones lose their force, and the key is free for others no longer. */
    async age(): Promise<void> {
        const [, , waiters, memory] = this._keys;
        const model = this._model;
        const aged = model.waiters.value.map((record) =>
            record.kind === 'waiter' ? { ...record, lease: 1 } : { ...record, until: 1 },
        );
        model.waiters = { value: aged, expires: model.waiters.expires };
        const fields = waitersOf(model);
        if (aged.length > 0) await this._client.hset(waiters, fields);
        if (model.memory?.value.freeUntil === undefined) return;
        model.memory = { value: { ...model.memory.value, freeUntil: 1 }, expires: model.memory.expires };
        await this._client.hset(memory, 'y', '1');
    }

    /** The server's clock was ahead when it gave the last fence. */
    async setBack(): Promise<void> {
        const { memory } = this._model;
        if (memory?.value.fence === undefined) return;
        const fence = memory.value.fence + 1e9;
        this._model.memory = { value: { ...memory.value, fence }, expires: memory.expires };
        await this._client.hset(this._keys[3], 'f', String(fence));
    }

    /** Many acquisitions were given up long ago: so many fields the hash of waiters has then. */
    async bury(fields: number): Promise<void> {
        const { value, expires } = this._model.waiters;
        if (value.length === 0 || value.length > 10) return;
        const length = fields - value.length;
        const buried = Array.from({ length }, (_, i) => ({ kind: 'tombstone', id: `old${i}`, until: 1 }) as const);
        this._model.waiters = { value: [...value, ...buried], expires };
        await this._client.hset(this._keys[2], waitersOf(this._model));
    }

    private async _now(): Promise<number> {
        return micros(await this._client.time());
    }

    private async _compare<Reply>(
        script: Script<Reply>,
        { keys, args, common }: Asked,
        onModel: (model: ScriptModel) => Reply,
    ): Promise<void> {
        this.steps += 1;
        // Sent in this order on one connection. (The scripts are loaded, so each is one command.)
        const [before, [answer], after, stored, expiries, kept, end] = await Promise.all([
            this._now(),
            script.run(this._client, [{ keys, args }], common),
            this._now(),
            this._stored(),
            Promise.all(this._keys.map((key) => this._client.pttl(key))),
            this._client.hget(this._keys[3], 'e'),
            this._now(),
        ]);
        this._slack += (end - before) / 1000 + 1;
        const real: Effect = { answer: plain(answer), messages: await this._ear.heard(), stored };
        const tried = readings(real, before, after).map((clock) => this._try(clock, onModel));
        const fitting = tried.find(({ effect }) => this._agree(effect, real));
        if (fitting === undefined) assert.deepEqual(real, tried.at(-1)?.effect, `${script.name} ${args.join(' | ')}`);
        else this._model = fitting.model;
        this._compareExpiries(expiries, end / 1000);
        if (kept !== null) {
            assert.approximately(
                Number(kept) - end / 1000,
                expiries[3] ?? -2,
                this._slack,
                'until when memory is kept',
            );
        }
    }

    private _try(clock: number, onModel: (model: ScriptModel) => unknown): { model: ScriptModel; effect: Effect } {
        const model = this._model.copy();
        model.clock = clock;
        model.now = Math.floor(clock / 1000);
        const isList = model.key?.value === LIST;
        const answer = isList ? 'WRONGTYPE' : onModel(model);
        return { model, effect: { answer, messages: model.published, stored: storedOf(model) } };
    }

    /** Equal, when what depends on the expiry of the key is near enough. */
    private _agree(expected: Effect, actual: Effect): boolean {
        const near = (one: unknown, other: unknown): boolean =>
            typeof one === 'number' && typeof other === 'number' && Math.abs(one - other) <= this._slack;
        const isLeft = (name: string): boolean => name === 'remaining' || name === 'taken';
        const equal = (one: unknown, other: unknown, name = ''): boolean => {
            if (one === other || (isLeft(name) && near(one, other))) return true;
            if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
            const names = new Set([...Object.keys(one), ...Object.keys(other)]);
            return [...names].every((field) => equal(Reflect.get(one, field), Reflect.get(other, field), field));
        };
        return equal(expected, actual);
    }

    private _compareExpiries(left: readonly number[], now: number): void {
        const { key, queue, waiters, memory } = this._model;
        const instants = [key?.expires, queue.expires, waiters.expires, memory?.expires];
        instants.forEach((instant, at) => {
            const actual = left[at] ?? -2;
            if (instant === undefined || instant === Infinity) assert.isBelow(actual, 0, `expiry of ${this._keys[at]}`);
            else assert.approximately(actual, instant - now, this._slack, `expiry of ${this._keys[at]}`);
        });
    }

    private async _stored(): Promise<Content> {
        const [key, queue, waiters, side] = this._keys;
        const [type, value, places, records, facts] = await Promise.all([
            this._client.type(key),
            this._client.get(key).catch(() => null),
            this._client.zrange(queue, '0', '-1', 'WITHSCORES'),
            this._client.hgetall(waiters),
            this._client.hgetall(side),
        ]);
        // Until when it is kept is compared with its expiry.
        const { e: _, ...memory } = facts;
        return { key: type === 'list' ? LIST : value, queue: places, waiters: { ...records }, memory };
    }
}

/** An answer that can be compared: of a failed step, its kind. */
function plain(answer: unknown): unknown {
    return answer instanceof ScriptError ? answer.message.split(' ')[0] : answer;
}

function micros([seconds, rest]: readonly (number | string)[]): number {
    return Number(seconds) * 1_000_000 + Number(rest);
}

/** Readings of the clock that a step may have had, taken from the numbers in its effect. */
function readings({ answer, messages, stored }: Effect, before: number, after: number): number[] {
    const text = JSON.stringify([answer, messages, stored]);
    const numbers = [...text.matchAll(/\d{12,16}/g)].map(([digits]) => Number(digits));
    const { waiterLease, side } = new ScriptModel('').rules;
    const told = numbers.flatMap((number) => [
        number,
        number - SPARE,
        ...[waiterLease, side, PAUSE].map((ttl) => Math.max((number - ttl) * 1000, before)),
    ]);
    // How long somebody waited, by a ticket.
    const waits = [...text.matchAll(/"waited":(\d+)/g)].map(([, waited]) => Number(waited));
    const tickets = stored.queue.filter((_, at) => at % 2 === 1).map(Number);
    for (const waited of waits) told.push(...tickets.map((ticket) => ticket + waited * 1000));
    return [before, after, ...told.filter((clock) => before <= clock && clock <= after)];
}

/** How long a key is left free in these tests, ms. */
export const PAUSE = 20_000;

/** How many fences are reserved with a grant in these tests, when there are any. */
export const SPARE = 8;

function storedOf(model: ScriptModel): Content {
    const { key, queue, memory } = model;
    const { fence, holder, acquisition, ticket, released, releasedBefore, handOffs, freeUntil } = memory?.value ?? {};
    const grant = { f: fence, h: holder, a: acquisition };
    const facts = { ...grant, t: ticket, r: released, p: releasedBefore, n: handOffs, y: freeUntil };
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    return {
        key: key?.value ?? null,
        queue: queue.value.flatMap(({ id, ticket: score }) => [id, String(score)]),
        waiters: waitersOf(model),
        memory: Object.fromEntries(known.map(([name, value]) => [name, String(value)])),
    };
}

function waitersOf(model: ScriptModel): Record<string, string> {
    const fields = model.waiters.value.map((record) => {
        if (record.kind === 'tombstone') return [record.id, `x${record.until}`];
        const { id, lease, ttl, spare, channel, holder } = record;
        return [id, `${lease} ${askedFor(ttl, spare)} ${channel} ${holder === id ? '' : holder}`];
    });
    return Object.fromEntries(fields) as Record<string, string>;
}

function askedFor(ttl: number, spare: number): string {
    return spare === 0 ? String(ttl) : `${ttl}+${spare}`;
}
