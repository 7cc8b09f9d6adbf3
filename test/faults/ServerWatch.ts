import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { SHARED } from '../../src/engine/port/protocol';
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
    private _by = new Map<string, Set<string>>();
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

    /** A script says by its arguments who calls it: the first two of an item are a holder, an acquisition, or neither. */
    private _command(name: string, args: string[], now: number): void {
        this._by = new Map();
        if (name === 'flushall') this._forget('free');
        if (name === 'del') for (const key of args) this._seen.set(key, 'free');
        if (name === 'set') this._setAside(args, now);
        if (name !== 'evalsha' && name !== 'eval') return;
        const count = Number(args[1]);
        const isClocked = args[2]?.endsWith('clock') === true;
        const keys = args.slice(isClocked ? 3 : 2, 2 + count);
        const stride = strideOf(keys);
        const items = keys.length / stride;
        // Those that may hand on say something once, before all items; on nodes of a quorum a hint is behind them.
        const behind = args.slice(2 + count);
        const rest = isClocked && stride === 4 && behind.length > 2 * items + 1 ? behind.slice(1) : behind;
        const width = Math.floor(rest.length / items);
        // A list may have several steps of one key, and does not show which of them is under way.
        for (let item = 0; item < items; item++) {
            const key = keys[item * stride] ?? '';
            const by = this._by.get(key) ?? new Set();
            for (const who of rest.slice(item * width, item * width + 2)) if (who !== '') by.add(acquisitionOf(who));
            this._by.set(key, by);
        }
    }

    private _inScript(name: string, args: string[], now: number): void {
        const [key = '', value = ''] = args;
        if (!key.startsWith(this._prefix)) return;
        const stored = this._holding(key);
        if (name === 'pexpire' && stored !== undefined) {
            this._seen.set(key, { holder: stored.holder, until: now + Number(value) });
        }
        if (name === 'pexpireat' && stored !== undefined) {
            this._seen.set(key, { holder: stored.holder, until: Number(value) });
        }
        if (name !== 'set' && name !== 'del') return;
        const by = this._by.get(key) ?? new Set();
        // (Who shares a key is not told here.)
        const isOne = stored !== undefined && stored.holder !== SHARED;
        if (isOne && stored.until - ROUNDING > now && !by.has(acquisitionOf(stored.holder))) {
            this.removals += 1;
            this._history.note({ operation: 'removed', key, holder: stored.holder, by: [...by].join(' ') });
        }
        const given = args[2] === 'PXAT' ? Number(args[3]) : now + Number(args[3]);
        const until = args.includes('KEEPTTL') ? (stored?.until ?? Infinity) : given;
        this._seen.set(key, name === 'del' ? 'free' : { holder: value, until });
        // A waiter that does not hear of its grant is passed over in the same step.
        this._by.set(key, by.add(acquisitionOf(value)));
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

/** An id of our own, with the fence that a holder has behind it, and with the number of an attempt on a node of a quorum. */
const OWN = /^(\S+:\d+:[\w-]{8}:[0-9a-z]+)(?:#\d+)?:\d*$/;

/** What a holder and the acquisition that it was granted to have in common. A chosen holder stands before the id. */
function acquisitionOf(text: string): string {
    const [chosen = ''] = text.split(/\\r|#(?=\S+:\d+:[\w-]{8}:)/);
    return OWN.exec(chosen)?.[1] ?? chosen;
}

/** How many keys a script takes for each item. */
function strideOf(keys: readonly string[]): number {
    if (keys[2]?.endsWith(':w') === true) return 4;
    return /:[qh]$/.test(keys[1] ?? '') ? 2 : 1;
}
