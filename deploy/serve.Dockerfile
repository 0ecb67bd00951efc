# `deepmark serve` in a container, with nothing of PyTorch, built from the root of the repository:
#
#   docker build -f deploy/serve.Dockerfile -t deepmark-serve .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/export:/model:ro" -e DEEPMARK_TOKEN deepmark-serve
#
# /model holds model.onnx. A token is required, because the server listens beyond the container; `docker stop` sends
# SIGTERM, and the server finishes what it took.
FROM python:3.12-slim AS build
COPY . /source
RUN pip wheel --no-deps --wheel-dir /wheels /source

FROM python:3.12-slim
COPY constraints.txt /constraints.txt
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint /constraints.txt "$(ls /wheels/deepmark-*.whl)[serve]"
USER nobody
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=20s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=5)"]
ENTRYPOINT ["deepmark", "serve", "--host", "0.0.0.0"]
CMD ["--model", "/model/model.onnx"]
