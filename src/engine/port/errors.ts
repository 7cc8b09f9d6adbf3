/**
 * What can go wrong. Tell errors apart by their code: it never changes its meaning, and the exceptions of RedisLock have it, though
 * they are of the toolkit's classes and no LockError.
 */
export const LockErrorCode = {
    LOCK_TIMEOUT: 'LOCK_TIMEOUT',
    LOCK_ABORTED: 'LOCK_ABORTED',
    LOCK_LOST: 'LOCK_LOST',
    NOT_OPENED: 'NOT_OPENED',
    ALREADY_OPENED: 'ALREADY_OPENED',
    CLOSED: 'CLOSED',
    CONNECTION_FAILED: 'CONNECTION_FAILED',
    SERVER_REFUSED: 'SERVER_REFUSED',
    NOT_SUPPORTED: 'NOT_SUPPORTED',
    BAD_OPTION: 'BAD_OPTION',
    WRONG_PASSWORD: 'WRONG_PASSWORD',
    NO_PERMISSION: 'NO_PERMISSION',
    NO_QUORUM: 'NO_QUORUM',
    NOT_REPLICATED: 'NOT_REPLICATED',
    WRONG_TYPE: 'WRONG_TYPE',
    BAD_KEY: 'BAD_KEY',
    BAD_HOLDER: 'BAD_HOLDER',
    BAD_TTL: 'BAD_TTL',
    BAD_TIMEOUT: 'BAD_TIMEOUT',
    BAD_PARAMETER: 'BAD_PARAMETER',
    TOO_MANY: 'TOO_MANY',
    // What the configuration of a RedisLock leads to.
    NO_CONNECTION: 'NO_CONNECTION',
    NO_CREDENTIAL: 'NO_CREDENTIAL',
} as const;

export type LockErrorCode = keyof typeof LockErrorCode;

export interface LockErrorDetails {
    key?: string | undefined;
    holder?: string | undefined;
    /** How long the present holder's lease still runs, ms. */
    remaining?: number | undefined;
    /** What each node of a quorum answered. */
    votes?: readonly string[] | undefined;
    cause?: unknown;
    /** The request may have reached the server, so it may still take effect. */
    unknown?: boolean | undefined;
}

/** The one error of the engine. Tell them apart by `code`. */
export class LockError extends Error {
    override readonly name = 'LockError';
    readonly key: string | undefined;
    readonly holder: string | undefined;
    readonly remaining: number | undefined;
    readonly votes: readonly string[] | undefined;
    /** True when the request may have reached the server, so that it may still take effect there. */
    readonly unknown: boolean;

    constructor(
        readonly code: LockErrorCode,
        message: string,
        details: LockErrorDetails = {},
    ) {
        super(message, details.cause === undefined ? undefined : { cause: details.cause });
        this.key = details.key;
        this.holder = details.holder;
        this.remaining = details.remaining;
        this.votes = details.votes;
        this.unknown = details.unknown ?? false;
    }
}

const TEMPORARY: ReadonlySet<string> = new Set<LockErrorCode>(['CONNECTION_FAILED', 'SERVER_REFUSED', 'NO_QUORUM']);

/** Whether it may be over later without anything else being changed. Takes exceptions that were made of ours, too. */
export function isTemporary(error: unknown): boolean {
    return TEMPORARY.has(codeOf(error));
}

/** The code of an error; empty: it has none. */
export function codeOf(error: unknown): string {
    return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Whatever was thrown, as an Error. */
export function asError(thrown: unknown): Error {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Whatever a store threw, as an error of ours. */
export function asLockError(thrown: unknown, key: string, holder?: string): LockError {
    if (thrown instanceof LockError) return thrown;
    const cause = asError(thrown);
    return new LockError('CONNECTION_FAILED', cause.message, { key, holder, cause, unknown: true });
}
