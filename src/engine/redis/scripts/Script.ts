import { createHash } from 'node:crypto';

/** The commands of an ioredis client that running a script takes. */
export interface ScriptClient {
    evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
    eval(lua: string, keys: number, ...args: string[]): Promise<unknown>;
    /** Needed in a cluster only. */
    asking?(): Promise<unknown>;
}

/** What a script takes. */
export interface ScriptShape {
    /** How many for each item. */
    readonly keys: number;
    readonly args: number;
    /** What is said once, before all items: the names under which `step` knows it. */
    readonly common?: readonly string[];
}

/** What one step is asked to do: as many keys and arguments as its script declares. */
export interface ScriptItem {
    readonly keys: readonly string[];
    readonly args: readonly string[];
}

/** An item's own failure: the server's text, e.g. `WRONGTYPE Operation against …`. */
export class ScriptError extends Error {
    override readonly name = 'ScriptError';
}

/**
 * A script that performs one atomic step for each item of a list. Every item is answered by itself: an error in one (a key
 * that holds no string) does not touch the others. A list of one is how a single step is sent.
 */
export class Script<Answer> {
    readonly lua: string;
    readonly sha: string;

    /**
     * @param body  Lua text that defines `local function step(keys…, args…)`, which returns the answer of one item.
     * @param parse types one answer; undefined: it is none that the script has.
     */
    constructor(
        readonly name: string,
        shape: ScriptShape,
        body: string,
        private readonly _parse: (answer: unknown) => Answer | undefined,
    ) {
        this.lua = opening(shape) + body + loop(shape);
        this.sha = createHash('sha1').update(this.lua).digest('hex');
    }

    /** Runs the script for a list of items, as `send` does, and reads the answers. */
    async run(
        client: ScriptClient,
        items: readonly ScriptItem[],
        common: readonly string[] = [],
        asking = false,
    ): Promise<(Answer | ScriptError)[]> {
        const reply = await this.send(client, items, common, asking);
        return this.answersOf(reply, items.length).map((answer) => this.parse(answer));
    }

    /**
     * Runs the script by its hash, and by its text when the server does not have it (yet, or after SCRIPT FLUSH).
     *
     * @param common what the script takes once for all items.
     * @param asking in a cluster: of keys that are just arriving at this server (an ASK redirection).
     * @returns what `answersOf` reads.
     */
    send(
        client: ScriptClient,
        items: readonly ScriptItem[],
        common: readonly string[] = [],
        asking = false,
    ): Promise<unknown> {
        // In loops: what would be shorter takes a sixth of all the time that a call takes here.
        const all: string[] = [];
        for (const { keys } of items) all.push(...keys);
        const keys = all.length;
        all.push(...common);
        for (const { args } of items) all.push(...args);
        // Holds for the next command only.
        const ask = (): void => void (asking && client.asking?.().catch(() => undefined));
        ask();
        return client.evalsha(this.sha, keys, ...all).catch((error: unknown) => {
            if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
            ask();
            return client.eval(this.lua, keys, ...all);
        });
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

    private _unexpected(answer: unknown): Error {
        return new Error(`The ${this.name} script gave an answer that it does not have: ${JSON.stringify(answer)}`);
    }
}

function opening({ common = [] }: ScriptShape): string {
    return common.map((name, at) => `local ${name} = ARGV[${at + 1}]\n`).join('');
}

/** The argument list is spelled out, because `unpack` of slices would cost more than the step itself. */
function loop({ keys, args, common = [] }: ScriptShape): string {
    const list = [
        ...Array.from({ length: keys }, (_, at) => `KEYS[i * ${keys} + ${at + 1}]`),
        ...Array.from({ length: args }, (_, at) => `ARGV[i * ${args} + ${common.length + at + 1}]`),
    ].join(', ');
    return `
local answers = {}
for i = 0, #KEYS / ${keys} - 1 do
    local done, answer = pcall(step, ${list})
    if not done then
        answer = type(answer) == 'table' and answer.err or tostring(answer)
    end
    answers[i + 1] = answer
end
return answers
`;
}

/** A whole number of a reply. */
export function isNumber(value: unknown): value is number {
    return typeof value === 'number' && Number.isSafeInteger(value);
}

/** A list of a reply, whose elements are still to be checked. */
export function isList(value: unknown): value is readonly unknown[] {
    return Array.isArray(value);
}
