import type { RedisAddress } from '../../fixtures/sharedServer';
import { connect, disconnect } from './client';
import type { Held } from './Contestant';

export const RING = 'raw publish';
export const RING_DOES =
    'PUBLISH to the channel of the next in a ring, which is somebody in another process. No lock. The baseline of hand-offs';

/** The floor of a hand-off: each waits for a message on a channel of its own, and sends one to the next. */
export class Ring implements AsyncDisposable {
    private readonly _waiting = new Map<number, () => void>();

    private constructor(
        private readonly _clients: { readonly publisher: Client; readonly subscriber: Client },
        private readonly _size: number,
    ) {}

    /** @param members those of this process. */
    static async open(server: RedisAddress, members: readonly number[], size: number): Promise<Ring> {
        const [publisher, subscriber] = await Promise.all([connect(server), connect(server)]);
        const ring = new Ring({ publisher, subscriber }, size);
        subscriber.on('message', (channel: string) => ring._waiting.get(Number(channel.slice(PREFIX.length)))?.());
        await subscriber.subscribe(...members.map((member) => PREFIX + member));
        return ring;
    }

    async take(member: number): Promise<Held> {
        await new Promise<void>((resolve) => this._waiting.set(member, resolve));
        return { release: () => this.wake((member + 1) % this._size) };
    }

    wake(member: number): Promise<unknown> {
        return this._clients.publisher.publish(PREFIX + member, '');
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await disconnect(Object.values(this._clients));
    }
}

type Client = Awaited<ReturnType<typeof connect>>;

const PREFIX = 'ring:';
