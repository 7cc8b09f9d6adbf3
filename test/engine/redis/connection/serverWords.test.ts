import { assert } from 'chai';
import type { LockErrorCode } from '../../../../src/engine/port/errors';
import { bareText, codeOf, wordOf } from '../../../../src/engine/redis/connection/serverWords';
import type { ServerWord } from '../../../../src/engine/redis/connection/serverWords';

const SHA = 'f1e2d3c4b5a697887766554433221100ffeeddcc';

/** What a server says to a command, without anything around it. */
const SAID: Readonly<Record<string, readonly [word: ServerWord, code: LockErrorCode]>> = {
    'WRONGTYPE Operation against a key holding the wrong kind of value': ['WRONGTYPE', 'WRONG_TYPE'],
    'WRONGPASS invalid username-password pair or user is disabled.': ['WRONGPASS', 'WRONG_PASSWORD'],
    'NOAUTH Authentication required.': ['NOAUTH', 'WRONG_PASSWORD'],
    'NOAUTH HELLO must be called with the client already authenticated': ['NOAUTH', 'WRONG_PASSWORD'],
    'ERR invalid password': ['WRONGPASS', 'WRONG_PASSWORD'],
    "ERR wrong number of arguments for 'auth' command": ['WRONGPASS', 'WRONG_PASSWORD'],
    'ERR Client sent AUTH, but no password is set': ['NOPASSWORD', 'WRONG_PASSWORD'],
    'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?':
        ['NOPASSWORD', 'WRONG_PASSWORD'],
    "NOPERM this user has no permissions to run the 'evalsha' command or its subcommand": ['NOPERM', 'NO_PERMISSION'],
    "NOPERM User w has no permissions to run the 'hset' command": ['NOPERM', 'NO_PERMISSION'],
    'NOPERM this user has no permissions to access one of the keys used as arguments': ['NOPERM', 'NO_PERMISSION'],
    'NOPERM this user has no permissions to access one of the channels used as arguments': ['NOPERM', 'NO_PERMISSION'],
    'NOPERM No permissions to access a key': ['NOPERM', 'NO_PERMISSION'],
    "READONLY You can't write against a read only replica.": ['READONLY', 'SERVER_REFUSED'],
    'ERR WAIT cannot be used with replica instances.': ['READONLY', 'SERVER_REFUSED'],
    'LOADING Redis is loading the dataset in memory': ['LOADING', 'SERVER_REFUSED'],
    'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.': [
        'BUSY',
        'SERVER_REFUSED',
    ],
    "OOM command not allowed when used memory > 'maxmemory'.": ['OOM', 'SERVER_REFUSED'],
    'MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.': [
        'MISCONF',
        'SERVER_REFUSED',
    ],
    'MISCONF Errors writing to the AOF file: No space left on device': ['MISCONF', 'SERVER_REFUSED'],
    'NOREPLICAS Not enough good replicas to write.': ['NOREPLICAS', 'SERVER_REFUSED'],
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": [
        'MASTERDOWN',
        'SERVER_REFUSED',
    ],
    'CLUSTERDOWN Hash slot not served': ['CLUSTERDOWN', 'SERVER_REFUSED'],
    'TRYAGAIN Multiple keys request during rehashing of slot': ['TRYAGAIN', 'SERVER_REFUSED'],
    'DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.':
        ['DENIED', 'SERVER_REFUSED'],
    'ERR max number of clients reached': ['MAXCLIENTS', 'SERVER_REFUSED'],
    'ERR max number of clients + cluster connections reached': ['MAXCLIENTS', 'SERVER_REFUSED'],
    'MOVED 866 127.0.0.1:7001': ['MOVED', 'NOT_SUPPORTED'],
    'ASK 866 127.0.0.1:7001': ['ASK', 'NOT_SUPPORTED'],
    "CROSSSLOT Keys in request don't hash to the same slot": ['CROSSSLOT', 'NOT_SUPPORTED'],
    "ERR unknown command 'evalsha', with args beginning with: 'f1e2'": ['UNKNOWN', 'NOT_SUPPORTED'],
    'ERR unknown command `EVALSHA`, with args beginning with: `f1e2`, ': ['UNKNOWN', 'NOT_SUPPORTED'],
    "ERR Unknown subcommand or wrong number of arguments for 'ID'. Try CLIENT HELP.": ['UNKNOWN', 'NOT_SUPPORTED'],
    'ERR unsupported command': ['UNKNOWN', 'NOT_SUPPORTED'],
    "ERR handle request, command 'SUBSCRIBE' is not allowed": ['UNKNOWN', 'NOT_SUPPORTED'],
    'ERR This instance has cluster support disabled': ['UNKNOWN', 'NOT_SUPPORTED'],
};

/** What is said of a command that a script calls, by version. */
const IN_SCRIPTS: Readonly<Record<string, readonly [text: string, word: ServerWord]>> = {
    'a replica, 6.2': [
        `ERR Error running script (call to f_${SHA}): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica. `,
        'READONLY',
    ],
    'a replica, 6.2, caught': ["@user_script: 1: -READONLY You can't write against a read only replica.", 'READONLY'],
    'a replica, 7.0': [
        `READONLY You can't write against a read only replica. script: ${SHA}, on @user_script:1.`,
        'READONLY',
    ],
    'a wrong type, 6.2': [
        `ERR Error running script (call to f_${SHA}): @user_script:12: WRONGTYPE Operation against a key holding the wrong kind of value `,
        'WRONGTYPE',
    ],
    'a wrong type, 7.0': [
        `WRONGTYPE Operation against a key holding the wrong kind of value script: ${SHA}, on @user_script:12.`,
        'WRONGTYPE',
    ],
    'a full memory, 6.2': ["@user_script: 3: -OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    'too few replicas, 6.2': ['@user_script: 3: -NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    'a missing right, 6.2': [
        `ERR Error running script (call to f_${SHA}): @user_script:3: @user_script: 3: The user executing the script can't run this command or subcommand`,
        'NOPERM',
    ],
    'a missing right to a key, 6.2': [
        "@user_script: 3: The user executing the script can't access at least one of the keys mentioned in the command arguments",
        'NOPERM',
    ],
    'a missing right, 7.0': [
        `ERR The user executing the script can't run this command or subcommand script: ${SHA}, on @user_script:3.`,
        'NOPERM',
    ],
    'a missing right, 7.2': [
        `ERR ACL failure in script: User w has no permissions to run the 'hset' command script: ${SHA}, on @user_script:3.`,
        'NOPERM',
    ],
    'a missing right, 7.2, caught': [
        "ERR ACL failure in script: User w has no permissions to run the 'hset' command",
        'NOPERM',
    ],
    'a missing right to a channel, 7.2': [
        "ERR ACL failure in script: User w has no permissions to access the 'redis-lock:x' channel",
        'NOPERM',
    ],
    'a command that was renamed away, 6.2': [
        '@user_script: 1: Unknown Redis command called from Lua script',
        'UNKNOWN',
    ],
    'a command that was renamed away, 7.0': [
        `ERR Unknown Redis command called from script script: ${SHA}, on @user_script:1.`,
        'UNKNOWN',
    ],
    'a slot that leaves, 6.2': [
        '@user_script: 1: Lua script attempted to access a non local key in a cluster node',
        'NONLOCAL',
    ],
    'a slot that leaves, 7.4': [
        `ERR Script attempted to access a non local key in a cluster node script: ${SHA}, on @user_script:1.`,
        'NONLOCAL',
    ],
    'an error of the script itself, 6.2': [
        `ERR Error running script (call to f_${SHA}): @user_script:1: user_script:1: attempt to perform arithmetic on a nil value `,
        'UNKNOWN',
    ],
    'an error of the script itself, 7.0': [
        `ERR user_script:1: attempt to perform arithmetic on a nil value script: ${SHA}, on @user_script:1.`,
        'UNKNOWN',
    ],
};

suite('The words of servers', () => {
    for (const [text, [word, code]] of Object.entries(SAID)) {
        test(`"${text.slice(0, 60)}" is ${word}, so ${code}`, () => {
            assert.strictEqual(wordOf(text), word);
            assert.strictEqual(codeOf(word), code);
            assert.strictEqual(bareText(text), text.trim());
        });
    }

    for (const [title, [text, word]] of Object.entries(IN_SCRIPTS)) {
        test(`${title}: in a script, ${word}`, () => {
            assert.strictEqual(wordOf(text), word);
            assert.notMatch(bareText(text), /f1e2d3|@user_script|^-|Error running/);
        });
    }

    test('what no table has is taken for a refusal that passes', () => {
        for (const text of ['ERR upstream failure', 'ERR no upstream host', 'ODDWORD something', 'oops']) {
            assert.isUndefined(wordOf(text));
        }
        assert.strictEqual(codeOf(undefined), 'SERVER_REFUSED');
    });
});
