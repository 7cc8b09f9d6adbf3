import { asError, isTemporary } from '../engine/port/errors';

/** Asks Redis again and again. While Redis is away it goes on, and says so once. */
export class Inquiry {
    private _error: Error | undefined;

    constructor(private readonly _say: (text: string) => void) {}

    /** Why the last question had no answer; undefined: it had one. */
    get error(): Error | undefined {
        return this._error;
    }

    /**
     * Asks Redis.
     *
     * @returns undefined: it is away.
     * @throws what will not pass by itself.
     */
    async ask<T>(question: () => Promise<T>): Promise<T | undefined> {
        try {
            const answer = await question();
            if (this._error !== undefined) this._say('Redis answers again');
            this._error = undefined;
            return answer;
        } catch (thrown) {
            const error = asError(thrown);
            if (!isTemporary(error)) throw error;
            if (this._error === undefined) this._say(`${error.message} Trying again.`);
            this._error = error;
            return undefined;
        }
    }
}
