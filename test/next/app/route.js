// Never cached: the answer says which process gave it.
export const dynamic = 'force-dynamic';

export const GET = () => new Response(`${process.env.REBIND_GENERATION} ok`);
