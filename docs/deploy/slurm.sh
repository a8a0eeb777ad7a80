#!/bin/bash
# A campaign on Slurm: sbatch slurm.sh plan.toml
# Started again with the same plan, it resumes. bgdefect[ray] stands in the environment that is active on all nodes.
#SBATCH --job-name=bgdefect-campaign
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
set -euo pipefail

plan=${1:?the plan, a TOML file}
export RAY_USAGE_STATS_ENABLED=0
nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
head=${nodes[0]}
address="$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{ print $1 }'):6379"

srun --nodes=1 --ntasks=1 -w "$head" \
    ray start --head --port=6379 --include-dashboard=false --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 20
for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 -w "$node" \
        ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
done
sleep 20
srun --overlap --nodes=1 --ntasks=1 -w "$head" bgdefect campaign "$plan" --address "$address"
