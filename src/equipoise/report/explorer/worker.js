// The worker holds the model, so that the page responds while a picture is decoded.

const nets = {};

const JOBS = {
  async load({ parcel, decoder, encoder, link }) {
    Object.assign(nets, { decoder, encoder, link });
    return unpackInto([...decoder, ...encoder], await inflate(parcel));
  },
  setLevel({ level }) {
    setGates(nets.encoder, level, (u) => 1 / (1 + Math.exp(-u)));
    setGates(nets.decoder, level, (u) => Math.sqrt(Math.max(-Math.expm1(u), 0)));
    return new Float32Array(0);
  },
  decode: ({ code }) => nets.link === null ? sigmoid(forward(nets.decoder, code)) : forward(nets.decoder, code),
  encode: ({ pixels }) => forward(nets.encoder, pixels),
};

onmessage = async ({ data }) => {
  try {
    const start = performance.now();
    const result = await JOBS[data.job](data);
    postMessage({ id: data.id, result, milliseconds: performance.now() - start }, [result.buffer]);
  } catch (error) {
    postMessage({ id: data.id, error: String(error) });
  }
};
