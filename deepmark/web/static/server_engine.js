/* Asks `deepmark serve` for the garments in an image. */

/** An engine is an object with detect(source, size), which gives the garments, and says what it is. */
export async function createEngine(config, askToken) {
  let token = sessionStorage.getItem("deepmark-token");

  async function ask(body, name) {
    const form = new FormData();
    form.append("image", body, name);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    let answer;
    try {
      answer = await fetch(`v1/detect?min_score=${config.least_score}`, { method: "POST", body: form, headers });
    } catch {
      throw new Error("The server does not answer. Is it still running?");
    }
    if (answer.status === 401) {
      token = await askToken();
      if (!token) throw new Error("This server wants a token.");
      sessionStorage.setItem("deepmark-token", token);
      return ask(body, name);
    }
    const said = await answer.json();
    if (!answer.ok) throw new Error(`The server refused it: ${said.error.message}`);
    return said.images[0].garments;
  }

  return {
    name: `${config.model}, on this server`,
    /** The garments in an image: a Blob as it was given, or an ImageBitmap, which this function closes. */
    async detect(source, name) {
      if (source instanceof Blob) return ask(source, name);
      const canvas = new OffscreenCanvas(source.width, source.height);
      canvas.getContext("2d").drawImage(source, 0, 0);
      source.close();
      return ask(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 }), name);
    },
  };
}
