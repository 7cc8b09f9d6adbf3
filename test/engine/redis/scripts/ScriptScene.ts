import { randomUUID } from 'node:crypto';
import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { holderOf, newId } from '../../../../src/engine/port/holder';
import type { Share } from '../../../../src/engine/port/LockStore';
import { acquireQueuedScript, acquireScript, acquireSharedScript } from '../../../../src/engine/redis/scripts/acquire';
import type { AcquireQueuedReply, AcquireReply } from '../../../../src/engine/redis/scripts/acquire';
import { downgradeScript } from '../../../../src/engine/redis/scripts/downgrade';
import type { DowngradeReply } from '../../../../src/engine/redis/scripts/downgrade';
import { inspectScript } from '../../../../src/engine/redis/scripts/inspect';
import type { InspectReply } from '../../../../src/engine/redis/scripts/inspect';
import { parseMessage } from '../../../../src/engine/redis/scripts/message';
import type { Message } from '../../../../src/engine/redis/scripts/message';
import { releaseQueuedScript, releaseScript, releaseSharedScript } from '../../../../src/engine/redis/scripts/release';
import type { ReleaseQueuedReply, ReleaseReply } from '../../../../src/engine/redis/scripts/release';
import { renewScript, renewSharedScript } from '../../../../src/engine/redis/scripts/renew';
import type { RenewReply } from '../../../../src/engine/redis/scripts/renew';
import { requestOf } from '../../../../src/engine/redis/scripts/request';
import { ScriptError } from '../../../../src/engine/redis/scripts/Script';
import type { Script, ScriptFrame, ScriptItem } from '../../../../src/engine/redis/scripts/Script';
import { keysOf } from '../../../../src/engine/redis/slots';
import type { RedisAddress } from '../../../fixtures/sharedServer';
import { until } from '../../../fixtures/until';
import { ended, ownClient } from '../../clientOf';

export const TTL = 20_000;

export interface Asked {
    readonly ttl?: number | string;
    /** The channel; empty: it polls. */
    readonly on?: string;
    /** Undefined: all of the key. */
    readonly share?: Share;
}

export interface Given {
    readonly holder?: string;
    readonly id?: string;
    readonly underWay?: boolean;
    readonly pause?: string;
    readonly keep?: number;
}

/** One lock on a real server, with a clock of its own, and somebody who listens. */
export class ScriptScene {
    readonly name = `scripts:${randomUUID()}`;
    readonly keys = keysOf(this.name);
    readonly key = this.keys[0];
    readonly queue = this.keys[1];
    readonly waiters = this.keys[2];
    readonly sharers = this.keys[3];
    readonly clock = `clock:${this.name}`;
    readonly channel = `channel:${this.name}`;
    readonly heard: Message[] = [];

    private constructor(
        readonly client: Redis,
        private readonly _subscriber: Redis,
    ) {}

    static async on(address: RedisAddress): Promise<ScriptScene> {
        const scene = new ScriptScene(await ownClient(address), await ownClient(address));
        scene._subscriber.on('message', (_channel: string, text: string) => {
            const message = parseMessage(text);
            if (message !== undefined) scene.heard.push(message);
        });
        await scene._subscriber.subscribe(scene.channel);
        return scene;
    }

    async end(): Promise<void> {
        await Promise.all([ended(this.client), ended(this._subscriber)]);
    }

    /** Answers of the script to one item. */
    async run<Answer>(
        script: Script<Answer>,
        item: ScriptItem,
        frame: ScriptFrame = {},
        client = this.client,
    ): Promise<Answer> {
        const clock = script.clocked ? this.clock : undefined;
        const [answer] = await script.run(client, [item], { clock, ...frame });
        if (answer instanceof ScriptError) throw answer;
        if (answer === undefined) throw new Error('No answer.');
        return answer;
    }

    acquire(id: string, ttl: number = TTL): Promise<AcquireReply> {
        return this.run(acquireScript, { keys: [this.key, this.queue], args: [id, String(ttl)] });
    }

    /** As one of several. */
    join(id: string, share: Share, ttl: number = TTL): Promise<AcquireReply> {
        return this.run(acquireSharedScript, { keys: this.keys, args: [id, requestOf(ttl, 0, share)] });
    }

    /** Without a ticket: a plain try. */
    ask(id: string, ticket: number | '' = '', { on = '', share, ttl = TTL }: Asked = {}): Promise<AcquireQueuedReply> {
        const request = typeof ttl === 'string' ? ttl : requestOf(ttl, 0, share);
        return this.run(
            acquireQueuedScript,
            { keys: this.keys, args: [id, request, String(ticket)] },
            { before: [on] },
        );
    }

    /** Waits in line, and listens. */
    async wait(
        id: string,
        options: Asked = {},
        ticket = 0,
    ): Promise<Extract<AcquireQueuedReply, { readonly kind: 'busy' }>> {
        const answer = await this.ask(id, ticket, { on: this.channel, ...options });
        if (answer.kind !== 'busy') assert.fail(answer.kind);
        return answer;
    }

    /** A new acquisition that has the key, with the holder and the fence. */
    async held(ttl: number = TTL): Promise<{ id: string; holder: string; fence: number }> {
        const id = newId();
        const answer = await this.acquire(id, ttl);
        if (answer.kind !== 'granted') assert.fail(answer.kind);
        return { id, holder: holderOf(id, answer.fence), fence: answer.fence };
    }

    /** A new acquisition that shares the key, with the holder and the fence. */
    async shared(share: Share, ttl: number = TTL): Promise<{ id: string; holder: string; fence: number }> {
        const id = newId();
        const answer = await this.join(id, share, ttl);
        if (answer.kind !== 'granted') assert.fail(answer.kind);
        return { id, holder: holderOf(id, answer.fence), fence: answer.fence };
    }

    release(holder: string): Promise<ReleaseReply> {
        return this.run(releaseScript, { keys: [this.key, this.queue], args: [holder] });
    }

    leave(holder: string): Promise<ReleaseReply> {
        return this.run(releaseSharedScript, { keys: this.keys, args: [holder] });
    }

    giveBack({ holder = '', id = '', keep = 0, pause = '', underWay = false }: Given): Promise<ReleaseQueuedReply> {
        const args = [holder, id, underWay ? '1' : '0', keep === 0 ? '' : String(keep)];
        return this.run(releaseQueuedScript, { keys: this.keys, args }, { before: [pause] });
    }

    renew(holder: string, ttl: number): Promise<RenewReply> {
        return this.run(renewScript, { keys: [this.key], args: [holder, String(ttl)] });
    }

    renewShared(holder: string, ttl: number): Promise<RenewReply> {
        return this.run(renewSharedScript, { keys: [this.key, this.sharers], args: [holder, String(ttl)] });
    }

    downgrade(holder: string, ttl: number = TTL): Promise<DowngradeReply> {
        return this.run(downgradeScript, { keys: this.keys, args: [holder, String(ttl)] });
    }

    inspect(most = ''): Promise<InspectReply> {
        return this.run(inspectScript, { keys: this.keys, args: [most] });
    }

    /** The messages, when there are this many. */
    async messages(count: number): Promise<readonly Message[]> {
        await until(() => this.heard.length >= count);
        return this.heard;
    }

    /** Between which instants (server time, ms) a key expires. */
    async expiry(key = this.key): Promise<readonly [least: number, most: number]> {
        const [before, left, after] = await Promise.all([this.micros(), this.client.pttl(key), this.micros()]);
        return [left + Math.floor(before / 1000), left + Math.ceil(after / 1000)];
    }

    /** The key ends with the lease of this acquisition, and not sooner. */
    async endsWith(id: string): Promise<void> {
        const end = Number(await this.client.zscore(this.sharers, id));
        const [least, most] = await this.expiry();
        assert.isTrue(least <= end && end <= most, `${least} <= ${end} <= ${most}`);
    }

    /** The key does not end before the lease of this acquisition. */
    async endsAfter(id: string): Promise<void> {
        const end = Number(await this.client.zscore(this.sharers, id));
        assert.isAtLeast((await this.expiry())[1], end);
    }

    async micros(): Promise<number> {
        const [seconds, rest] = await this.client.time();
        return Number(seconds) * 1_000_000 + Number(rest);
    }

    /** The lease of a waiter runs out. */
    async die(id: string): Promise<void> {
        const record = (await this.client.hget(this.waiters, id)) ?? assert.fail('It does not wait.');
        await this.client.hset(this.waiters, id, record.replace(/^\d+/, '1000'));
    }

    /** The lease of one who shares the key runs out, and the key does not. */
    async expire(id: string): Promise<void> {
        await this.client.zadd(this.sharers, 'XX', 1, id);
    }

    /** All keys of the lock that exist. */
    async left(): Promise<string[]> {
        const exist = await Promise.all(this.keys.map((key) => this.client.exists(key)));
        return this.keys.filter((_, at) => exist[at] === 1);
    }
}
