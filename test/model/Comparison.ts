import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { chosenHolder, holderOf } from '../../src/engine/port/holder';
import { CLAIM_WINDOW, POLLER_LEASE, QUEUE_LIFE, WAITER_LEASE } from '../../src/engine/port/protocol';
import { acquireQueuedScript, acquireScript, acquireSharedScript } from '../../src/engine/redis/scripts/acquire';
import { downgradeScript } from '../../src/engine/redis/scripts/downgrade';
import { inspectScript } from '../../src/engine/redis/scripts/inspect';
import { releaseQueuedScript, releaseScript, releaseSharedScript } from '../../src/engine/redis/scripts/release';
import { renewScript, renewSharedScript } from '../../src/engine/redis/scripts/renew';
import { requestOf } from '../../src/engine/redis/scripts/request';
import { ScriptError } from '../../src/engine/redis/scripts/Script';
import type { Script, ScriptFrame, ScriptItem } from '../../src/engine/redis/scripts/Script';
import { keysOf } from '../../src/engine/redis/slots';
import type { LockKeys } from '../../src/engine/redis/slots';
import { LockModel } from '../../src/testing/LockModel';
import type { QueuedAcquire, QueuedRelease, SharedAcquire, WaiterRecord } from '../../src/testing/LockModel';
import type { Ear, Heard } from './Ear';

/** Stands for a value of the wrong type. */
const LIST = '(list)';

/** Readings of the server's clock in one step, µs: a command reads it once, and whenever it draws numbers. */
interface Readings {
    readonly now: number;
    /** The last one stands for all further ones. */
    readonly draws: readonly number[];
}

/** Draws its numbers at given times. */
class TimedModel extends LockModel {
    draws: readonly number[] = [];

    protected override _least(): number {
        const [time = this.time, ...others] = this.draws;
        this.time = time;
        this.draws = others;
        return super._least();
    }
}

/** The keys of a lock as Redis has them, but for their expiry. */
interface Content {
    readonly clock: string | null;
    readonly key: string | null;
    readonly queue: readonly string[];
    readonly waiters: Readonly<Record<string, string>>;
    /** In no order. */
    readonly sharers: Readonly<Record<string, string>>;
}

/** What one step is asked for. */
type Asked = ScriptItem & ScriptFrame;

/** What one step did. */
interface Effect {
    readonly answer: unknown;
    readonly messages: readonly Heard[];
    readonly stored: Content;
}

/** Which of the keys an outsider deletes. */
export type Part = 'key' | 'queue' | 'waiters' | 'sharers' | 'clock' | 'all';

/**
 * One lock twice: on a server, and as a model. Each step is taken on both and everything it did is compared.
 *
 * The server's clock is its own, so the model is run with every reading that the step may have had: between one before and
 * one after it, those that the effect itself tells. With one of them all must be equal, to the last digit; only what is
 * computed from the expiry of the key (which is known to ms) may differ by the time that steps took.
 */
export class Comparison {
    steps = 0;
    private _model = new TimedModel();
    private _slack = 2;
    private readonly _keys: LockKeys;
    private readonly _clock: string;
    private readonly _channels = new Set<string>();

    constructor(
        private readonly _client: Redis,
        private readonly _ear: Ear,
        private readonly _name: string,
    ) {
        this._keys = keysOf(_name);
        this._clock = `clock of ${_name}`;
        this._model.channels = this._channels;
    }

    /** The last ticket of an acquisition that waits, else 0. */
    ticketOf(id: string): number {
        return Math.max(this._model.queue.value.find((place) => place.id === id)?.score ?? 0, 0);
    }

    /** The holder of an acquisition when it has the key; else what it would be with the fence of another. */
    holderOf(id: string): string {
        const holder = this._model.key?.value;
        const sharer = this._model.sharers.value.members.find(({ member }) => member === id);
        return chosenHolder(id) ?? (holder?.startsWith(id) === true ? holder : holderOf(id, sharer?.fence ?? 7));
    }

    async acquire(step: { readonly id: string; readonly ttl: number }): Promise<void> {
        const [key, queue] = this._keys;
        const args = [step.id, String(step.ttl)];
        await this._compare(acquireScript, { clock: this._clock, keys: [key, queue], args }, (model) => {
            const reply = model.acquire(step);
            return reply.kind === 'granted' ? { kind: 'granted', fence: reply.fence } : reply;
        });
    }

    async acquireShared(step: SharedAcquire): Promise<void> {
        const args = [step.id, requestOf(step.ttl, 0, step.share)];
        await this._compare(acquireSharedScript, { clock: this._clock, keys: this._keys, args }, (model) => {
            const reply = model.acquireShared(step);
            return reply.kind === 'granted' ? { kind: 'granted', fence: reply.fence } : reply;
        });
    }

    async acquireQueued(step: QueuedAcquire): Promise<void> {
        const { id, channel, ttl, spare, share, ticket } = step;
        const args = [id, requestOf(ttl, spare, share), ticket === undefined ? '' : String(ticket)];
        const request = { clock: this._clock, keys: this._keys, args, before: [channel] };
        await this._compare(acquireQueuedScript, request, (model) => model.acquireQueued(step));
    }

    async release(holder: string): Promise<void> {
        const [key, queue] = this._keys;
        await this._compare(releaseScript, { keys: [key, queue], args: [holder] }, (model) => model.release(holder));
    }

    async releaseShared(holder: string): Promise<void> {
        await this._compare(releaseSharedScript, { keys: this._keys, args: [holder] }, (model) =>
            model.releaseShared(holder),
        );
    }

    async releaseQueued(step: QueuedRelease): Promise<void> {
        const { holder, id, keep = 0, pause, underWay } = step;
        const args = [holder, id, underWay ? '1' : '0', keep === 0 ? '' : String(keep)];
        const before = [pause === 0 ? '' : String(pause)];
        await this._compare(releaseQueuedScript, { clock: this._clock, keys: this._keys, args, before }, (model) =>
            model.releaseQueued(step),
        );
    }

    async renew(step: { readonly holder: string; readonly ttl: number }): Promise<void> {
        const [key] = this._keys;
        await this._compare(renewScript, { keys: [key], args: [step.holder, String(step.ttl)] }, (model) =>
            model.renew(step),
        );
    }

    async renewShared(step: { readonly holder: string; readonly ttl: number }): Promise<void> {
        const [key, , , sharers] = this._keys;
        const args = [step.holder, String(step.ttl)];
        await this._compare(renewSharedScript, { keys: [key, sharers], args }, (model) => model.renewShared(step));
    }

    async downgrade(step: { readonly holder: string; readonly ttl: number }): Promise<void> {
        const args = [step.holder, String(step.ttl)];
        await this._compare(downgradeScript, { clock: this._clock, keys: this._keys, args }, (model) =>
            model.downgrade(step),
        );
    }

    async inspect(): Promise<void> {
        await this._compare(inspectScript, { keys: this._keys, args: [''] }, (model) => model.inspect());
    }

    async listen(channel: string, on: boolean): Promise<void> {
        await this._ear.listen(channel, on);
        if (on) this._channels.add(channel);
        else this._channels.delete(channel);
    }

    /** An outsider sets the key: only if it is free, as other editions do, or whatever it is. */
    async set(value: string, ttl: number, always: boolean): Promise<void> {
        const [key] = this._keys;
        const isFree = this._model.key === undefined;
        const now = await this._now();
        if (always) await this._client.set(key, value);
        else await this._client.set(key, value, 'PX', ttl, 'NX');
        if (always) this._model.key = { value, expires: Infinity };
        else if (isFree) this._model.key = { value, expires: Math.round(now / 1000) + ttl };
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
    async lose(what: Part): Promise<void> {
        const model = this._model;
        const [key, queue, waiters, sharers] = this._keys;
        const names = { key, queue, waiters, sharers, clock: this._clock };
        const { queue: none, waiters: nobody, sharers: unknown } = new LockModel();
        await (what === 'all' ? this._client.del(...Object.values(names)) : this._client.del(names[what]));
        if (what === 'key' || what === 'all') model.key = undefined;
        if (what === 'queue' || what === 'all') model.queue = none;
        if (what === 'waiters' || what === 'all') {
            model.waiters = nobody;
            model.freeUntil = 0;
        }
        if (what === 'sharers' || what === 'all') model.sharers = unknown;
        if (what === 'clock' || what === 'all') model.clock = undefined;
    }

    /** Time passes: the leases of waiters and the tombstones run out, and the key is free for others no longer. */
    async age(): Promise<void> {
        const model = this._model;
        const [, queue, waiters] = this._keys;
        const aged = model.waiters.value.map((record) => ({ ...record, lease: 1 }));
        model.waiters = { value: aged, expires: model.waiters.expires };
        if (model.freeUntil > 0) model.freeUntil = 1;
        const fields = waitersOf(model);
        if (Object.keys(fields).length > 0) await this._client.hset(waiters, fields);
        await this._bury(model.queue.value.filter(({ score }) => score < 0).map(({ id }) => id));
        if (model.queue.value.length === 0) await this._client.del(queue);
    }

    /** The lease of one who shares the key runs out, but not the key's. */
    async outlive(id: string): Promise<void> {
        const { expires, value } = this._model.sharers;
        const member = value.members.find((one) => one.member === (chosenHolder(id) ?? id));
        if (member === undefined) return;
        const members = value.members.map((one) => (one === member ? { ...one, end: 1 } : one));
        this._model.sharers = { value: { ...value, members }, expires };
        await this._client.zadd(this._keys[3], 1, member.member);
    }

    /** The server's clock was ahead when it gave the last fence. */
    async setBack(): Promise<void> {
        const { clock } = this._model;
        if (clock === undefined) return;
        const value = clock.value + 1e9;
        this._model.clock = { value, expires: clock.expires };
        await this._client.set(this._clock, String(value), 'KEEPTTL');
    }

    /** How many acquisitions were given up long ago. */
    async bury(many: number): Promise<void> {
        if (this._model.queue.value.length === 0 || this._model.queue.value.length > 10) return;
        await this._bury(Array.from({ length: many }, (_, i) => `old${String(i).padStart(3, '0')}`));
    }

    private async _bury(ids: readonly string[]): Promise<void> {
        const { value, expires } = this._model.queue;
        const buried = ids.map((id) => ({ id, score: -1 }));
        const others = value.filter(({ id }) => !ids.includes(id));
        const line = [...others, ...buried].sort((a, b) => a.score - b.score || (a.id < b.id ? -1 : 1));
        this._model.queue = { value: line, expires };
        for (const id of ids) await this._client.zadd(this._keys[1], -1, id);
    }

    private async _now(): Promise<number> {
        return micros(await this._client.time());
    }

    private async _compare<Reply>(
        script: Script<Reply>,
        { keys, args, ...frame }: Asked,
        onModel: (model: LockModel) => unknown,
    ): Promise<void> {
        this.steps += 1;
        const names = [...this._keys, this._clock];
        // Sent in this order on one connection. (The scripts are loaded, so each is one command.)
        const [before, [answer], after, stored, expiries, end] = await Promise.all([
            this._now(),
            script.run(this._client, [{ keys, args }], frame),
            this._now(),
            this._stored(),
            Promise.all(names.map((key) => this._client.pttl(key))),
            this._now(),
        ]);
        this._slack += (end - before) / 1000 + 1;
        const real: Effect = { answer: plain(answer), messages: await this._ear.heard(), stored };
        let last: Effect | undefined;
        for (const readings of readingsOf(real, before, after)) {
            const { effect, model } = this._try(readings, onModel);
            last = effect;
            if (!this._agree(effect, real)) continue;
            this._model = model;
            this._adoptEnds(real.stored);
            this._compareExpiries(expiries, end / 1000);
            return;
        }
        assert.deepEqual(real, last, `${script.name} ${args.join(' | ')}`);
    }

    private _try(
        { draws, now }: Readings,
        onModel: (model: LockModel) => unknown,
    ): { model: TimedModel; effect: Effect } {
        const model = this._model.copy();
        model.draws = draws;
        model.time = now;
        model.now = now / 1000;
        const isList = model.key?.value === LIST;
        const untouched = model.copy();
        const answer = onModel(model);
        // Only what is answered before the key is read does not fail.
        if (isList && !isEarly(answer)) return { model: untouched, effect: this._effectOf(untouched, 'WRONGTYPE') };
        return { model, effect: this._effectOf(model, answer) };
    }

    private _effectOf(model: TimedModel, answer: unknown): Effect {
        const messages = model.published.map(({ channel, message }) => ({
            channel,
            message: { key: this._name, ...message },
        }));
        return { answer, messages, stored: this._storedOf(model) };
    }

    /** Equal, when what depends on the expiry of the key is near enough. */
    private _agree(expected: Effect, actual: Effect): boolean {
        const near = (one: unknown, other: unknown): boolean =>
            typeof one === 'number' && typeof other === 'number' && Math.abs(one - other) <= this._slack;
        const equal = (one: unknown, other: unknown, name = ''): boolean => {
            const isLeft = name === 'remaining' || name === 'taken';
            if (one === other || (isLeft && near(one, other))) return true;
            if (isEnd(one) && isEnd(other) && near(Number(one), Number(other))) return true;
            if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
            const names = new Set([...Object.keys(one), ...Object.keys(other)]);
            return [...names].every((field) => equal(Reflect.get(one, field), Reflect.get(other, field), field));
        };
        return equal(expected, actual);
    }

    /** A downgrade computes the end of the lease from the expiry of the key. */
    private _adoptEnds({ sharers: stored }: Content): void {
        const { expires, value } = this._model.sharers;
        const members = value.members.map((one) => ({ ...one, end: Number(stored[one.member]) }));
        if (members.length > 0) this._model.sharers = { value: { ...value, members }, expires };
    }

    private _compareExpiries(left: readonly number[], now: number): void {
        const { key, queue, waiters, sharers, clock } = this._model;
        const instants = [key?.expires, queue.expires, waiters.expires, sharers.expires, clock?.expires];
        instants.forEach((instant, at) => {
            const actual = left[at] ?? -2;
            const what = `expiry of the ${['key', 'queue', 'waiters', 'sharers', 'clock'][at]}`;
            if (instant === undefined || instant === Infinity) assert.isBelow(actual, 0, what);
            else assert.approximately(actual, instant - now, this._slack, what);
        });
    }

    private async _stored(): Promise<Content> {
        const [key, queue, waiters, sharers] = this._keys;
        const [type, value, places, records, sharing, clock] = await Promise.all([
            this._client.type(key),
            this._client.get(key).catch(() => null),
            this._client.zrange(queue, '0', '-1', 'WITHSCORES'),
            this._client.hgetall(waiters),
            this._client.zrange(sharers, '0', '-1', 'WITHSCORES'),
            this._client.get(this._clock),
        ]);
        return {
            clock,
            key: type === 'list' ? LIST : value,
            queue: places,
            waiters: { ...records },
            sharers: Object.fromEntries(pairsOf(sharing)),
        };
    }

    private _storedOf(model: LockModel): Content {
        const { clock, key, queue } = model;
        return {
            clock: clock === undefined ? null : String(clock.value),
            key: key?.value ?? null,
            queue: queue.value.flatMap(({ id, score }) => [id, String(score)]),
            waiters: waitersOf(model),
            sharers: sharersOf(model),
        };
    }
}

/** An answer that can be compared: of a failed step, its kind. */
function plain(answer: unknown): unknown {
    return answer instanceof ScriptError ? answer.message.split(' ')[0] : answer;
}

/** Whether a step was answered without a look at the key. */
function isEarly(answer: unknown): boolean {
    return (
        answer === 'queued' ||
        (typeof answer === 'object' && answer !== null && Reflect.get(answer, 'kind') === 'refused')
    );
}

function micros([seconds, rest]: readonly (number | string)[]): number {
    return Number(seconds) * 1_000_000 + Number(rest);
}

/** Readings that a step may have had, taken from the numbers in its effect; those that are more likely first. */
function* readingsOf({ answer, messages, stored }: Effect, before: number, after: number): Iterable<Readings> {
    const text = JSON.stringify([answer, messages, stored]);
    const numbers = [...text.matchAll(/\d{12,16}/g)].map(([digits]) => Number(digits));
    const within = (times: readonly number[]): number[] => [
        ...new Set([...times.filter((time) => before <= time && time <= after), after]),
    ];
    const draws = within([before, ...numbers.flatMap((number) => DRAWN.map((less) => number - less))]);
    // How long somebody waited, by a ticket.
    const waits = [...text.matchAll(/"waited":(\d+)/g)].map(([, waited]) => 1000 * Number(waited));
    const tickets = stored.queue.filter((_, at) => at % 2 === 1).map(Number);
    const nows = within([
        before,
        ...numbers.flatMap((number) => [number, number + 1, number - 1000 * QUEUE_LIFE]),
        ...numbers.flatMap((number) => SPANS.map((time) => Math.max((number - time) * 1000, before))),
        ...tickets.flatMap((ticket) => waits.map((waited) => ticket + waited)),
    ]);
    for (const now of nows) for (const draw of draws) yield { now, draws: [draw] };
    // Numbers that were drawn and are not there any more may have been drawn at the beginning.
    for (const now of nows) {
        for (const one of draws) for (const other of draws) yield { now, draws: [before, one, other] };
        for (const one of draws) for (const other of draws) yield { now, draws: [one, other] };
    }
}

/** How long a key is left free in these tests, ms. */
export const PAUSE = 20_000;

/** For how long a released key stays taken in these tests, ms. */
export const KEPT = 40_000;

/** How long leases last in these tests: shorter than the claim window and longer; far apart, because those of a key are compared
 * with a tolerance. */
export const TTLS = [1500, 30_000, 90_000] as const;

/** By how much an instant that a step writes may be ahead of its time, ms. */
const SPANS = [WAITER_LEASE, POLLER_LEASE, CLAIM_WINDOW, PAUSE, KEPT, ...TTLS];

/** How many fences are reserved with a grant in these tests, when there are any. */
export const SPARE = 8;

/** How much greater than the time of the draw a number may be: the clock is ahead by what a command reserves. */
const RESERVED = [0, 1, 2, 3, 4, ...[1, 2, 3, 4].map((more) => more + SPARE)];

/** The same when the command drew before, and what it drew is not there any more. */
const DRAWN = [0, 5, 5 + SPARE].flatMap((before) => RESERVED.map((number) => before + number));

function waitersOf(model: LockModel): Record<string, string> {
    const fields = model.waiters.value.map((record): [string, string] => [record.id, textOf(record)]);
    const free: [string, string][] = model.freeUntil > 0 ? [['yield', String(model.freeUntil)]] : [];
    return Object.fromEntries([...fields, ...free]);
}

function textOf({ channel, lease, share, spare, ttl }: WaiterRecord): string {
    return `${lease} ${requestOf(ttl, spare, share)} ${channel}`;
}

/** Whether this is the end of a lease among those who share, ms. */
function isEnd(score: unknown): boolean {
    return typeof score === 'string' && /^\d{13}$/.test(score);
}

/** As sharers.lua tells. */
function sharersOf({ sharers }: LockModel): Record<string, string> {
    const { limit, members } = sharers.value;
    const stored: Record<string, string> = limit > 0 ? { '\rl': String(-limit) } : {};
    for (const { end, fence, member, permits } of members) {
        stored[member] = String(end);
        if (fence > 0) stored[`${member}\rf`] = String(-fence);
        if (permits > 1) stored[`${member}\rp`] = String(1 - permits);
    }
    return stored;
}

function pairsOf(list: readonly string[]): [string, string][] {
    return list.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, list[at + 1] ?? '']] : []));
}
