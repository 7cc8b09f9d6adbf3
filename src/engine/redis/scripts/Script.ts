import { createHash } from 'node:crypto';
import * as protocol from '../../port/protocol';
import { LUA } from './lua';
import type { ScriptName } from './lua';

/** The commands of an ioredis client that running a script takes. */
export interface ScriptClient {
    evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
    eval(lua: string, keys: number, ...args: string[]): Promise<unknown>;
    /** Needed in a cluster only. */
    asking?(): Promise<unknown>;
}

/** One item of a command: as many keys and arguments as the header of the script says. */
export interface ScriptItem {
    readonly keys: readonly string[];
    readonly args: readonly string[];
}

/** What a command takes once, for all its items. */
export interface ScriptFrame {
    /** The key of the clock, before all others. */
    readonly clock?: string | undefined;
    /** The clock serves one lock alone. */
    readonly ownClock?: boolean | undefined;
    /** Arguments before and after those of the items. */
    readonly before?: readonly string[] | undefined;
    readonly after?: readonly string[] | undefined;
    /** In a cluster: the keys are just arriving at this server (an ASK redirection). */
    readonly asking?: boolean | undefined;
}

/** An item's own failure: the server's text, e.g. `WRONGTYPE Operation against …`. */
export class ScriptError extends Error {
    override readonly name = 'ScriptError';
}

const NONE: readonly string[] = [];

/**
 * A script that performs one atomic step for each item of a list. Every item is answered by itself: an error in one (a key
 * that holds no string) does not touch the others. A list of one is how a single step is sent.
 */
export class Script<Answer> {
    readonly lua: string;
    readonly sha: string;
    private _brief: ScriptText | undefined;

    /**
     * @param name    of its .lua file.
     * @param clocked its first key is the clock.
     * @param _parse  types one answer; undefined: it is none that the script has.
     */
    constructor(
        readonly name: ScriptName,
        readonly clocked: boolean,
        private readonly _parse: (answer: unknown) => Answer | undefined,
    ) {
        ({ lua: this.lua, sha: this.sha } = textOf(name, protocol));
    }

    /** Runs the script for a list of items, as `send` does, and reads the answers. */
    async run(
        client: ScriptClient,
        items: readonly ScriptItem[],
        frame: ScriptFrame = {},
    ): Promise<(Answer | ScriptError)[]> {
        const reply = await this.send(client, items, frame);
        return this.answersOf(reply, items.length).map((answer) => this.parse(answer));
    }

    /**
     * Runs the script by its hash, and by its text when the server does not have it (yet, or after SCRIPT FLUSH).
     *
     * @returns what `answersOf` reads.
     */
    send(client: ScriptClient, items: readonly ScriptItem[], frame: ScriptFrame = {}): Promise<unknown> {
        const { after = NONE, asking = false, before = NONE, clock, ownClock = false } = frame;
        const { lua, sha } = ownClock ? this._withOwnClock() : this;
        const all: string[] = clock === undefined ? [] : [clock];
        for (const { keys } of items) all.push(...keys);
        const keys = all.length;
        all.push(...before);
        for (const { args } of items) all.push(...args);
        all.push(...after);
        // Holds for the next command only.
        const ask = (): void => void (asking && client.asking?.().catch(() => undefined));
        ask();
        return client.evalsha(sha, keys, ...all).catch((error: unknown) => {
            if (!(error instanceof Error && WITHOUT_HASH.test(error.message))) throw error;
            ask();
            return client.eval(lua, keys, ...all);
        });
    }

    /** Lets the server know the script from now on, by running it for nothing. That takes no other right than running it does. */
    load(client: ScriptClient): Promise<unknown> {
        return client.eval(this.lua, 0);
    }

    /** The answers of a reply, one for each item, to be parsed. */
    answersOf(reply: unknown, items: number): readonly unknown[] {
        if (!isList(reply) || reply.length !== items) throw this._unexpected(reply);
        return reply;
    }

    /** Checks and types one answer. */
    parse(answer: unknown): Answer | ScriptError {
        if (typeof answer === 'string') return new ScriptError(answer);
        const reply = this._parse(answer);
        if (reply === undefined) throw this._unexpected(answer);
        return reply;
    }

    /** The script with a clock that is forgotten sooner. */
    private _withOwnClock(): ScriptText {
        return (this._brief ??= textOf(this.name, { ...protocol, CLOCK_LIFE: protocol.LOCK_CLOCK_LIFE }));
    }

    private _unexpected(answer: unknown): Error {
        return new Error(`The ${this.name} script gave an answer that it does not have: ${JSON.stringify(answer)}`);
    }
}

/** The server does not have the script, or refuses EVALSHA itself. Proxies say so in several ways. An error of a script names the script. */
const WITHOUT_HASH =
    /^NOSCRIPT|^NOPERM .*\bevalsha\b|^ERR (?!.*\bscript\b).*\b(unknown|unsupported|not (supported|allowed|available|implemented))\b/i;

interface ScriptText {
    readonly lua: string;
    readonly sha: string;
}

/** The durations of the protocol that a script names are given to it as locals, behind its first line. */
function textOf(name: ScriptName, durations: Readonly<Record<string, unknown>>): ScriptText {
    const source = LUA[name];
    const lines = Object.entries(durations)
        .filter(([duration, value]) => typeof value === 'number' && new RegExp(`\\b${duration}\\b`).test(source))
        .map(([duration, value]) => `local ${duration} = ${String(value)}\n`);
    const lua = source.replace('\n', () => `\n${lines.join('')}`);
    return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** A whole number of a reply. */
export function isNumber(value: unknown): value is number {
    return typeof value === 'number' && Number.isSafeInteger(value);
}

/** A list of a reply, whose elements are still to be checked. */
export function isList(value: unknown): value is readonly unknown[] {
    return Array.isArray(value);
}
