import { Script } from './Script';

export type RenewReply = 'renewed' | 'gone';

export const renewScript = new Script('renew', false, read);
export const renewNodeScript = new Script('renew_node', false, read);
export const renewSharedScript = new Script('renew_shared', false, read);
export const renewSharedNodeScript = new Script('renew_shared_node', false, read);

function read(answer: unknown): RenewReply | undefined {
    return answer === 1 ? 'renewed' : answer === 0 ? 'gone' : undefined;
}
