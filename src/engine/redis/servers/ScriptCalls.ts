import { LockError } from '../../port/errors';
import { missingRights } from '../connection/missingRights';
import type { RedisConnection } from '../connection/RedisConnection';
import { explain, saidBy } from '../connection/replies';
import { ScriptError } from '../scripts/Script';
import type { Script, ScriptFrame } from '../scripts/Script';
import { keysOf } from '../slots';
import { SHARDED, WHOLE } from './keyspace';
import type { Keyspace } from './keyspace';
import type { Command, CommandRequest } from './RedisServers';

/** What scripts have to know of their server. */
export interface ScriptServer {
    /** Undefined: not known yet. */
    keyspace(): Keyspace | undefined;
    /** Where the server can wake us; empty: nowhere. */
    channel(): string;
    /** The server answered: callers are about to be told, and to ask for more. */
    answered(): void;
}

/** Sends a list of commands as one call of their script, and tells each of them its outcome. */
export class ScriptCalls {
    private _underWay = 0;

    constructor(
        private readonly _connection: RedisConnection,
        private readonly _server: ScriptServer,
    ) {}

    /** How many commands were sent and have no answer yet. */
    get underWay(): number {
        return this._underWay;
    }

    /** @param asking the slot of the keys is just arriving from another server of the cluster. */
    send(script: Script<unknown>, commands: readonly Command<unknown>[], asking = false): void {
        this._underWay += commands.length;
        this._connection.post(
            (client) => script.send(client, commands, this._frameOf(script, commands, asking)),
            (reply, sentAt) => this._answered(script, commands, reply, sentAt),
            (error) => this._failed(commands, error),
        );
    }

    private _frameOf(script: Script<unknown>, [first]: readonly Command<unknown>[], asking: boolean): ScriptFrame {
        const clock = script.clocked && first !== undefined ? this._clockOf(first.keys[0]) : undefined;
        const before = first?.before?.(this._server.channel());
        return { clock, ownClock: this._server.keyspace() === SHARDED, before, after: first?.after?.(), asking };
    }

    /** Of a server that was connected to. */
    private _clockOf(key: string): string {
        return (this._server.keyspace() ?? WHOLE).clockOf(key);
    }

    private _failed(commands: readonly Command<unknown>[], error: unknown): void {
        this._underWay -= commands.length;
        for (const command of commands) void this._refuse(command, this._explained(error, command));
    }

    private _answered(
        script: Script<unknown>,
        commands: readonly Command<unknown>[],
        reply: unknown,
        sentAt: number,
    ): void {
        let answers: readonly unknown[];
        try {
            answers = script.answersOf(reply, commands.length);
        } catch (error) {
            this._failed(commands, error);
            return;
        }
        this._underWay -= commands.length;
        this._server.answered();
        commands.forEach((command, at) => this._settle(command, answers[at], sentAt));
    }

    private _settle(command: Command<unknown>, answer: unknown, sentAt: number): void {
        let parsed: unknown;
        try {
            parsed = command.script.parse(answer);
        } catch (error) {
            // The script has no such answer.
            command.failed(this._explained(error, command));
            return;
        }
        if (parsed instanceof ScriptError) void this._refuse(command, this._explained(parsed, command));
        else {
            this._connection.useful();
            command.done(parsed, sentAt);
        }
    }

    /** Fails a command. If its script may not run some commands of Redis, names them. Never rejects. */
    private async _refuse(command: Command<unknown>, error: LockError): Promise<void> {
        if (error.code !== 'NO_PERMISSION') {
            command.failed(error);
            return;
        }
        const [key] = command.keys;
        const names = await missingRights(this._connection, keysOf(key), this._clockOf(key)).catch(() => []);
        const text = `The Redis user may not run ${names.join(', ')}, which the scripts of a lock need.`;
        const { cause } = error;
        command.failed(names.length === 0 ? error : new LockError('NO_PERMISSION', text, { key: error.key, cause }));
    }

    private _explained(error: unknown, { key, keys }: CommandRequest<unknown>): LockError {
        // After an answer that the script does not have, the command may have been done.
        const told = explain(error, error instanceof LockError ? { key } : { key, unknown: true });
        if (told.code === 'NO_PERMISSION' && / key/.test(told.message)) {
            const { cause } = told;
            return new LockError('NO_PERMISSION', `${told.message} The lock on ${key} uses ${keys.join(', ')}.`, {
                key,
                cause,
            });
        }
        // Another server has its role now, and is found by the same name.
        if (saidBy(told) === 'READONLY') this._connection.reconnect(told);
        else if (told.code === 'SERVER_REFUSED') this._connection.refused(told);
        return told;
    }
}
