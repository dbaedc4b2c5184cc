# The commands of this repository in an image.
#   docker build -t fcn .                        for the CPU
#   docker build -t fcn --build-arg CUDA=1 .     for the GPU as well, with CUDA from NVIDIA's wheels
#   docker run --rm [--gpus all] -v "$PWD/data:/fcn/data" -v "$PWD/weights:/fcn/weights" \
#     -v "$PWD/runs:/fcn/runs" fcn python solve.py
#   docker run --rm -p 8000:8000 -v "$PWD/runs:/fcn/runs" fcn python serve.py --host 0.0.0.0
# The build argument CUDA_ARCHITECTURES, such as 89, builds for one GPU instead of all since Turing.
# The first stage builds the engine. The second, which is the image, has no compiler.
#
# On Debian 13 (trixie) the libraries below are libboost-filesystem1.83.0,
# libboost-python1.83.0, libboost-thread1.83.0, libdnnl3.6, libgflags2.2, libgoogle-glog0v6t64,
# libhdf5-310, libhdf5-hl-310, libopenblas0-pthread and libprotobuf32t64.

FROM debian:bookworm-slim AS build
ARG CUDA=0
ARG CUDA_ARCHITECTURES=
COPY pycaffe/apt-packages.txt /tmp/
RUN apt-get update && apt-get install --yes --no-install-recommends $(cat /tmp/apt-packages.txt)
RUN /usr/bin/python3 -m venv /venv
COPY pycaffe /src/pycaffe
RUN /venv/bin/pip install --no-cache-dir /src/pycaffe
COPY . /fcn
RUN /venv/bin/pip install --no-cache-dir --editable '/fcn[serve]'

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends \
      ca-certificates curl libboost-filesystem1.74.0 libboost-python1.74.0 libboost-thread1.74.0 \
      libdnnl2 libgflags2.2 libgoogle-glog0v6 libhdf5-103-1 libhdf5-hl-100 libopenblas0-pthread \
      libprotobuf32 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home fcn \
    && mkdir -p /fcn/data /fcn/weights /fcn/runs /fcn/out && chown -R fcn /fcn
COPY --from=build /venv /venv
COPY --from=build --chown=fcn /fcn /fcn
ENV PATH=/venv/bin:$PATH NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER fcn
WORKDIR /fcn
VOLUME /fcn/data /fcn/weights /fcn/runs
HEALTHCHECK CMD python -c "import caffe"
CMD ["python", "solve.py", "--help"]
