import type { Redis } from 'ioredis';
import { parseMessage } from '../../src/engine/redis/scripts/message';
import type { Message } from '../../src/engine/redis/scripts/message';

export interface Heard {
    readonly channel: string;
    readonly message: Message;
}

/** Receives what is published, up to a mark that the same publisher sets. */
export class Ear {
    private _onMessage: { channel: string; text: string }[] = [];
    private _marks = 0;
    private _resolve: () => void = () => undefined;

    constructor(
        private readonly _subscriber: Redis,
        private readonly _publisher: Redis,
        private readonly _mark: string,
    ) {
        _subscriber.on('message', (channel: string, text: string) => {
            if (channel !== this._mark) this._onMessage.push({ channel, text });
            else if (text === String(this._marks)) this._resolve();
        });
    }

    async open(): Promise<void> {
        await this._subscriber.subscribe(this._mark);
    }

    async listen(channel: string, on: boolean): Promise<void> {
        await (on ? this._subscriber.subscribe(channel) : this._subscriber.unsubscribe(channel));
    }

    /** Everything that was published before. */
    async heard(): Promise<Heard[]> {
        await new Promise<void>((resolve, reject) => {
            this._marks += 1;
            this._resolve = resolve;
            this._publisher.publish(this._mark, String(this._marks)).catch(reject);
        });
        // (Whether a waiter is there is asked with a message that it ignores.)
        const told = this._onMessage.splice(0).filter(({ text }) => !text.startsWith('there\n'));
        return told.map(({ channel, text }) => {
            const message = parseMessage(text);
            if (message === undefined) throw new Error(`Not a message: ${text}`);
            return { channel, message };
        });
    }
}
