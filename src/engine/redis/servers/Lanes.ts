import { LockError } from '../../port/errors';
import { HostTimer, atEndOfTurn } from '../../time/hostTime';
import {
    acquireNodeScript,
    acquireQueuedNodeScript,
    acquireQueuedScript,
    acquireScript,
    acquireSharedNodeScript,
    acquireSharedScript,
} from '../scripts/acquire';
import { downgradeNodeScript, downgradeScript } from '../scripts/downgrade';
import {
    releaseNodeScript,
    releaseQueuedNodeScript,
    releaseQueuedScript,
    releaseScript,
    releaseSharedNodeScript,
    releaseSharedScript,
} from '../scripts/release';
import { renewNodeScript, renewScript, renewSharedNodeScript, renewSharedScript } from '../scripts/renew';
import type { Script } from '../scripts/Script';
import { hasItsTag } from '../slots';
import { SHARDED } from './keyspace';
import type { Keyspace } from './keyspace';
import type { Command } from './RedisServers';
import type { ScriptCalls } from './ScriptCalls';

/**
 * At most this many commands go out as one list. So the client prepares the next list while the server runs this one, and no
 * command waits long for its answer.
 */
const LONGEST_LIST = 32;

/**
 * Of as many commands as are usually under way this part makes a list that goes out before its turn is over, if callers are being
 * answered in that turn. So the server runs one half while the client reads the answers of the other. With all of them in one list
 * client and server would work in turns.
 */
const EARLY_PART = 0.5;

/** What is usually under way follows a fall by a twentieth for each flush, and a rise at once. */
const REMEMBERED = 0.95;

/** Releases first: they make room for what else was asked for in the same turn. */
const ORDER: readonly Script<unknown>[] = [
    releaseQueuedScript,
    releaseQueuedNodeScript,
    releaseScript,
    releaseNodeScript,
    releaseSharedScript,
    releaseSharedNodeScript,
    downgradeScript,
    downgradeNodeScript,
    renewScript,
    renewNodeScript,
    renewSharedScript,
    renewSharedNodeScript,
    acquireQueuedScript,
    acquireQueuedNodeScript,
    acquireScript,
    acquireNodeScript,
    acquireSharedScript,
    acquireSharedNodeScript,
];

/** The commands of one turn of the event loop. Those of one script go out together, as lists: at its end, or before if they are many. */
export class Lanes {
    private readonly _lanes = new Map<Script<unknown>, Command<unknown>[]>(ORDER.map((one) => [one, []]));
    /** The end of the turn is waited for. */
    private _isDue = false;
    /** Callers are being answered in this turn. */
    private _isAnswering = false;
    private _queued = 0;
    /** How many commands are under way after a flush. */
    private _usual = 1;

    /** @param _keyspace decides which commands one list may have. Undefined: it is not known yet. */
    constructor(
        private readonly _calls: Pick<ScriptCalls, 'send' | 'underWay'>,
        private readonly _keyspace: () => Keyspace | undefined,
    ) {}

    add(command: Command<unknown>): void {
        const lane = this._lanes.get(command.script);
        if (lane === undefined) this._lanes.set(command.script, [command]);
        else lane.push(command);
        this._queued += 1;
        const isEnough = this._queued >= Math.min(LONGEST_LIST, this._usual * EARLY_PART);
        if (this._isAnswering && isEnough) this._flush();
        else this._awaitEnd();
    }

    /** Callers are about to be told of an answer. What they ask for now may go out before the end of the turn. */
    answered(): void {
        this._isAnswering = true;
        this._awaitEnd();
    }

    /** Sends commands of one script now, in as few lists as there can be. */
    sendAll(script: Script<unknown>, commands: readonly Command<unknown>[]): void {
        for (const list of this._lists(commands, Infinity)) this._calls.send(script, list);
    }

    private _awaitEnd(): void {
        if (this._isDue) return;
        this._isDue = true;
        // After every callback and every promise that is ready now.
        atEndOfTurn(this._endTurn);
    }

    private readonly _endTurn = (): void => {
        this._isDue = this._isAnswering = false;
        if (this._queued > 0) this._flush();
    };

    private _flush(): void {
        this._queued = 0;
        const isSharded = this._keyspace() === SHARDED;
        for (const [script, asked] of this._lanes) {
            if (asked.length === 0) continue;
            this._lanes.set(script, []);
            const commands = isSharded && script.clocked ? asked.filter(isShardable) : asked;
            if (commands.length === 1) this._calls.send(script, commands);
            else for (const list of this._lists(commands, LONGEST_LIST)) this._calls.send(script, list);
        }
        this._usual = Math.max(this._calls.underWay, this._usual * REMEMBERED);
    }

    private *_lists(commands: readonly Command<unknown>[], longest: number): Iterable<readonly Command<unknown>[]> {
        // Lists for a proxy do for one server, too.
        const { groupOf } = this._keyspace() ?? SHARDED;
        const together = new Map<number | string, Command<unknown>[]>();
        for (const command of commands) {
            const group = groupOf(command.keys[0]);
            const list = together.get(group) ?? [];
            together.set(group, list);
            list.push(command);
            if (list.length < longest) continue;
            together.delete(group);
            yield list;
        }
        yield* together.values();
    }
}

/** Whether an address that shards keeps the keys of the lock together. If not, the command fails. */
function isShardable(command: Command<unknown>): boolean {
    const { key, keys } = command;
    if (hasItsTag(keys[0])) return true;
    const text = `At an address that spreads its keys over several servers, a key with a } needs a {tag}: ${keys[0]}.`;
    // Not before `add` has returned.
    void new HostTimer(0, () => command.failed(new LockError('BAD_KEY', text, { key })));
    return false;
}
