import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { RedisAddress } from '../fixtures/sharedServer';
import type { History } from './History';

interface Stored {
    readonly holder: string;
    /** ms on the server's clock. */
    readonly until: number;
}

/** What a key is known to hold; unknown: it has not been seen since the watch began. */
type Known = Stored | 'free' | 'unknown';

/** The server's and our rounding of an expiry, ms. */
const ROUNDING = 3;

/**
 * Watches what a server does to the keys of locks, by MONITOR, which shows the commands within scripts too: whose holder id is
 * removed, and by whom. What cannot be known, such as what happened while it was away, is not judged.
 */
export class ServerWatch implements Disposable {
    /** How often a holder id was removed by another. */
    removals = 0;
    private readonly _seen = new Map<string, Known>();
    /** What all other keys are known to hold. */
    private _unseen: 'free' | 'unknown' = 'unknown';
    /** The ids and holders that the script under way was called with, and those that it has stored. */
    private _by = new Set<string>();
    private _socket: Socket | undefined;
    private _retry: NodeJS.Timeout | undefined;
    private _closed = false;

    constructor(
        private readonly _server: RedisAddress,
        private readonly _prefix: string,
        private readonly _history: History,
    ) {
        this._begin();
    }

    [Symbol.dispose](): void {
        this._closed = true;
        clearTimeout(this._retry);
        this._socket?.destroy();
    }

    private _begin(): void {
        this._forget('unknown');
        const socket = connect(this._server.port, this._server.host);
        this._socket = socket;
        socket.on('connect', () => socket.write('*1\r\n$7\r\nMONITOR\r\n'));
        createInterface({ input: socket })
            .on('line', (line) => this._line(line))
            .on('error', () => undefined);
        socket.on('error', () => undefined);
        socket.on('close', () => {
            if (!this._closed) this._retry = setTimeout(() => this._begin(), 50);
        });
    }

    private _line(line: string): void {
        const [, time, source, text] = /^\+(\d+\.\d+) \[\d+ (\S+)\] (.*)$/.exec(line) ?? [];
        if (time === undefined || text === undefined) return;
        const words = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word = '']) => word);
        const [name = '', ...args] = words;
        const now = Number(time) * 1000;
        if (source === 'lua') this._inScript(name.toLowerCase(), args, now);
        else this._command(name.toLowerCase(), args, now);
    }

    /** A script says by its arguments who calls it. A list does not show which of its items is under way. */
    private _command(name: string, args: string[], now: number): void {
        this._by = new Set();
        if (name === 'flushall') this._forget('free');
        if (name === 'del') for (const key of args) this._seen.set(key, 'free');
        if (name === 'set') this._setAside(args, now);
        if (name !== 'evalsha' && name !== 'eval') return;
        this._by = new Set(args.slice(2 + Number(args[1])).filter((arg) => arg.includes(':')));
    }

    private _inScript(name: string, args: string[], now: number): void {
        const [key = '', value = '', option, ttl = ''] = args;
        if (!key.startsWith(this._prefix)) return;
        const stored = this._holding(key);
        if (name === 'pexpire' && stored !== undefined) {
            this._seen.set(key, { holder: stored.holder, until: now + Number(value) });
        }
        if (name !== 'set' && name !== 'del') return;
        if (stored !== undefined && stored.until - ROUNDING > now && !this._mayRemove(stored.holder)) {
            this.removals += 1;
            this._history.note({ operation: 'removed', key, holder: stored.holder, by: [...this._by].join(' ') });
        }
        // A hand-off overwrites those that it could not reach.
        this._by.add(value);
        const until = option === 'PX' ? now + Number(ttl) : stored?.until;
        if (name === 'del') this._seen.set(key, 'free');
        else this._seen.set(key, until === undefined ? 'unknown' : { holder: value, until });
    }

    /** A holder is what its caller chose, or belongs to an acquisition, of which a node tells the attempts apart. */
    private _mayRemove(holder: string): boolean {
        return [...this._by].some(
            (by) => by === holder || by.split('\\r')[0] === holder || acquisitionOf(by) === acquisitionOf(holder),
        );
    }

    /** Another edition's attempt: it succeeds if there is nothing. That is not known before the key is seen, nor near an expiry. */
    private _setAside([key = '', holder = '', ...options]: string[], now: number): void {
        const known = this._known(key);
        if (known === 'unknown') return;
        const until = known === 'free' ? -Infinity : known.until;
        if (until > now + ROUNDING) return;
        const at = options.findIndex((option) => option.toUpperCase() === 'PX');
        if (until > now - ROUNDING) this._seen.set(key, 'unknown');
        else this._seen.set(key, { holder, until: now + Number(options[at + 1] ?? 0) });
    }

    private _known(key: string): Known {
        return this._seen.get(key) ?? this._unseen;
    }

    private _holding(key: string): Stored | undefined {
        const known = this._known(key);
        return typeof known === 'string' ? undefined : known;
    }

    private _forget(rest: 'free' | 'unknown'): void {
        this._seen.clear();
        this._unseen = rest;
    }
}

/** Of an id, such as host:1:random:2: or host:1:random:2#3: for the third attempt, or of a holder, which has a fence of µs after it. */
function acquisitionOf(text: string): string {
    return text.replace(/(#\d+)?:(\d{15,})?$/, '');
}
