import type { Redis } from 'ioredis';
import { LockError, asError } from '../../port/errors';
import type { Clock } from '../../time/Clock';
import { HostTimer } from '../../time/hostTime';
import { TimerHeap } from '../../time/TimerHeap';
import type { Due } from '../../time/TimerHeap';
import type { ClientLink } from './ClientLink';
import { explain, isReply } from './replies';

/** A command that is to be sent, and who is told of its answer. */
export interface PostedCommand<T> {
    readonly command: (client: Redis, sentAt: number) => Promise<T>;
    readonly answered: (answer: T, sentAt: number) => void;
    readonly failed: (error: Error) => void;
    /** How much longer than other commands it may take, ms. */
    readonly longer: number;
}

/** A command whose answer is due. */
interface Sent extends Due {
    overdue(): void;
}

/** The commands of one connection, from their sending to their answer. Each has an answer, or an error when its time is over. */
export class SentCommands {
    private readonly _due: TimerHeap<Sent>;

    /**
     * @param _timeout how long a command may take, ms.
     * @param _isClosed whether a command that fails now fails because the connection was closed by us.
     */
    constructor(
        private readonly _client: Redis,
        private readonly _link: ClientLink,
        private readonly _timeout: number,
        private readonly _clock: Clock,
        private readonly _isClosed: () => boolean,
    ) {
        this._due = new TimerHeap(_clock, (sent) => sent.overdue());
    }

    send<T>({ command, answered, failed, longer }: PostedCommand<T>): void {
        const sentAt = this._clock.now();
        const stream = this._client.stream;
        const timeout = this._timeout + longer;
        let open = true;
        const sent: Sent = {
            place: -1,
            overdue: () => {
                open = false;
                // The link may be dead without either end knowing it; a new one tells.
                this._link.cut(stream);
                const text = `Redis did not answer within ${timeout} ms.`;
                failed(new LockError('CONNECTION_FAILED', text, { unknown: true }));
            },
        };
        this._due.set(sent, sentAt + timeout);
        let answer: Promise<T>;
        try {
            answer = command(this._client, sentAt);
        } catch (error) {
            // A client that is not ours may throw where it should reject.
            answer = Promise.reject(asError(error));
        }
        answer.then(
            (reply) => {
                this._due.delete(sent);
                if (open) answered(reply, sentAt);
            },
            (error: unknown) => {
                this._due.delete(sent);
                if (!open) return;
                const isAnswer = isReply(error);
                const told = this._isClosed() ? closed(error, !isAnswer) : explain(error, { unknown: !isAnswer });
                // What the client refuses by itself has taken no time.
                if (isAnswer) failed(told);
                else later(failed)(told);
            },
        );
    }

    /** No command is overdue any more. */
    clear(): void {
        this._due.clear();
    }
}

/** Tells in a later turn of the event loop. */
export function later(failed: (error: Error) => void): (error: Error) => void {
    return (error) => void new HostTimer(0, () => failed(error));
}

export function closed(cause: unknown, unknown = false): LockError {
    return new LockError('CLOSED', 'The lock was closed.', { cause, unknown });
}
