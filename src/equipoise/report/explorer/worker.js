// What the worker answers: it has the net, so that the page stays alive while a picture is decoded.

const nets = {};

const ANSWERS = {
  async load({ parcel, decoder, encoder }) {
    Object.assign(nets, { decoder, encoder });
    return unpackInto([...decoder, ...encoder], await inflated(parcel));
  },
  decode: ({ code }) => sigmoid(forward(nets.decoder, code)),
  encode: ({ pixels }) => forward(nets.encoder, pixels),
};

onmessage = async ({ data }) => {
  try {
    const start = performance.now();
    const answer = await ANSWERS[data.job](data);
    postMessage({ id: data.id, answer, milliseconds: performance.now() - start }, [answer.buffer]);
  } catch (error) {
    postMessage({ id: data.id, error: String(error) });
  }
};
