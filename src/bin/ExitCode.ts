import { codeOf } from '../engine/port/errors';

/** Exit codes of the command line: those of `sysexits.h` and of the shell, where there is one. */
export const ExitCode = {
    Done: 0,
    /** The answer is no: free, still held, not that holder's. Of `run`, as of flock: the lock was busy to the end. */
    No: 1,
    Usage: 64,
    /** Redis cannot be reached, or refuses. */
    Unavailable: 69,
    /** The lock was lost while the command ran. */
    Lost: 75,
    Configuration: 78,
    CannotRun: 126,
    NotFound: 127,
    /** Plus the number of the signal that ended it. */
    Signal: 128,
} as const;

const CONFIGURATION = new Set(['BAD_OPTION', 'NO_CONNECTION', 'NO_CREDENTIAL', 'READ_FAILED']);
const USAGE = new Set(['BAD_KEY', 'BAD_HOLDER', 'BAD_TTL', 'BAD_TIMEOUT', 'BAD_PARAMETER']);

/** The exit code for an error of the library. */
export function exitCodeOf(error: unknown): number {
    const code = codeOf(error);
    if (CONFIGURATION.has(code)) return ExitCode.Configuration;
    return USAGE.has(code) ? ExitCode.Usage : ExitCode.Unavailable;
}
