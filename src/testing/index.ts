export { MemoryServer } from './MemoryServer';
export { MemoryStore } from './MemoryStore';
