import {
    BadRequestException,
    ConfigException,
    ConflictException,
    ConnectionException,
    InvalidStateException,
    InvocationException,
    UnauthorizedException,
} from 'pip-services4-commons-node';
import type { ApplicationException } from 'pip-services4-commons-node';
import { LockError } from '../engine/port/errors';
import type { LockErrorCode } from '../engine/port/errors';

type ExceptionClass = new (traceId?: string, code?: string, message?: string) => ApplicationException;

const CLASSES: Readonly<Record<LockErrorCode, ExceptionClass>> = {
    LOCK_TIMEOUT: ConflictException,
    LOCK_LOST: ConflictException,
    LOCK_ABORTED: InvocationException,
    NOT_OPENED: InvalidStateException,
    ALREADY_OPENED: InvalidStateException,
    CLOSED: InvalidStateException,
    BAD_OPTION: ConfigException,
    NO_CONNECTION: ConfigException,
    NO_CREDENTIAL: ConfigException,
    CONNECTION_FAILED: ConnectionException,
    SERVER_REFUSED: ConnectionException,
    NOT_SUPPORTED: InvalidStateException,
    WRONG_PASSWORD: UnauthorizedException,
    NO_PERMISSION: UnauthorizedException,
    NO_QUORUM: ConnectionException,
    NOT_REPLICATED: ConnectionException,
    WRONG_TYPE: InvalidStateException,
    BAD_KEY: BadRequestException,
    BAD_HOLDER: BadRequestException,
    BAD_TTL: BadRequestException,
    BAD_TIMEOUT: BadRequestException,
    BAD_PARAMETER: BadRequestException,
    TOO_MANY: InvalidStateException,
};

/** The toolkit exception for an error of the engine; anything else is handed back as it is. */
export function toException(thrown: LockError, traceId: string | undefined): ApplicationException;
export function toException(thrown: unknown, traceId: string | undefined): unknown;
export function toException(thrown: unknown, traceId: string | undefined): unknown {
    if (!(thrown instanceof LockError)) return thrown;
    const exception = new CLASSES[thrown.code](traceId, thrown.code, thrown.message);
    if (thrown.key !== undefined) exception.withDetails('key', thrown.key);
    if (thrown.holder !== undefined) exception.withDetails('holder', thrown.holder);
    if (thrown.remaining !== undefined) exception.withDetails('remaining', thrown.remaining);
    if (thrown.votes !== undefined) exception.withDetails('votes', thrown.votes);
    if (thrown.cause instanceof Error) exception.withCause(thrown.cause);
    return exception;
}
