import { assert } from 'chai';
import { refusedIn } from '../../../../src/engine/redis/connection/missingRights';

/** How servers refuse a command inside a script for want of a right. */
const REFUSALS = {
    '6.2': "@user_script: 1: -NOPERM this user has no permissions to run the 'hset' command or its subcommand",
    '6.2, another way': "The user executing the script can't run this command or subcommand",
    '7.0': "ERR The user executing the script can't run this command or subcommand script: 1a2b, on @user_script:12.",
    '7.2 and Valkey': "ERR ACL failure in script: User w has no permissions to run the 'hset' command",
    '7.2, of a key': 'ERR ACL failure in script: No permissions to access a key script: 1a2b, on @user_script:12.',
} as const;

suite('The rights that are missing', () => {
    for (const [version, text] of Object.entries(REFUSALS)) {
        test(`are told from what version ${version} says`, () => {
            assert.deepEqual(refusedIn(['hset', text]), ['hset']);
        });
    }

    test('are not those of commands that failed for what they were given', () => {
        const failed = ['set', 'ERR value is not an integer or out of range', 'get', 'WRONGTYPE Operation', 'hget', ''];
        assert.deepEqual(refusedIn([...failed, 'zadd', REFUSALS['7.0']]), ['zadd']);
        assert.deepEqual(refusedIn([]), []);
    });
});
