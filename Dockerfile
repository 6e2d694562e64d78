# Equipoise for CPUs:     docker build -t equipoise .
# Equipoise for CUDA:     docker build -t equipoise:cuda --build-arg TORCH=cu128 .
# The demo:               docker run --rm -v demo:/work/runs equipoise
# Any command:            docker run --rm -v "$PWD:/work" --user "$(id -u)" equipoise train data=images out=runs/mine
FROM python:3.11-slim AS build
# The build of PyTorch: cpu, or a version of CUDA such as cu128, whose wheels contain the libraries of CUDA.
ARG TORCH=cpu
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir -c constraints.txt uv && uv venv /opt/equipoise
ENV VIRTUAL_ENV=/opt/equipoise
COPY src src
COPY examples examples
RUN uv pip install --no-cache --torch-backend "$TORCH" -c constraints.txt '.[ray,hdf5,tables]' 'ray[default]'

FROM python:3.11-slim
# Volumes take the owner of the folder that they cover. Login shells, which KubeRay uses, read profile.d.
RUN useradd --create-home --uid 1000 equipoise \
    && echo "PATH=/opt/equipoise/bin:\$PATH" > /etc/profile.d/equipoise.sh \
    && mkdir -p /work/runs /work/studies /cache && chown -R equipoise /work /cache && chmod 1777 /cache
COPY --from=build /opt/equipoise /opt/equipoise
COPY --chown=1000 examples /work/examples
ENV PATH=/opt/equipoise/bin:$PATH EQUIPOISE_CACHE=/cache RAY_USAGE_STATS_ENABLED=0
USER 1000
WORKDIR /work
ENTRYPOINT ["equipoise"]
CMD ["train", "examples/demo.toml"]
